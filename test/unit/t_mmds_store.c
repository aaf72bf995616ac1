/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's metadata: merging as RFC 7396 shows it, limits, and that failures change nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "control/mmds_store.h"

static json_t *parse(const char *text)
{
	json_t *value = json_loads(text, 0, NULL);

	assert_non_null(value);
	return value;
}

static int change(struct mmds_store *store, const char *text,
		  int (*set)(struct mmds_store *store, json_t *value, struct err *e))
{
	struct err e = { 0 };
	json_t *value = parse(text);
	int r = set(store, value, &e);

	json_decref(value);
	assert_true(r == 0 || e.msg[0] != '\0');
	return r;
}

static void assert_data(const struct mmds_store *store, const char *expected)
{
	char *text = json_dumps(store->root, JSON_COMPACT | JSON_SORT_KEYS);

	assert_string_equal(text, expected);
	free(text);
}

/* Those of RFC 7396, appendix A, whose two sides are objects. */
static void test_merge(void **state)
{
	static const struct {
		const char *data, *patch, *result;
	} rows[] = {
		{ "{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
		{ "{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}" },
		{ "{\"a\":\"b\"}", "{\"a\":null}", "{}" },
		{ "{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}" },
		{ "{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
		{ "{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}" },
		{ "{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}",
		  "{\"a\":{\"b\":\"d\"}}" },
		{ "{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}" },
		{ "{\"e\":null}", "{\"a\":1}", "{\"a\":1,\"e\":null}" },
		{ "{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct mmds_store store = { .max_bytes = 1000 };

		assert_int_equal(change(&store, rows[i].data, mmds_store_put), 0);
		assert_int_equal(change(&store, rows[i].patch, mmds_store_patch), 0);
		assert_data(&store, rows[i].result);
		mmds_store_release(&store);
	}
}

static void test_limits(void **state)
{
	struct mmds_store store = { .max_bytes = strlen("{\"a\":12345}") };

	(void)state;
	assert_int_equal(change(&store, "{}", mmds_store_patch), -ENOENT);
	assert_int_equal(change(&store, "{\"a\":123456}", mmds_store_put), -EFBIG);
	assert_null(store.root);
	assert_int_equal(change(&store, "{ \"a\" :  12345 }", mmds_store_put), 0);
	assert_int_equal(change(&store, "{\"b\":1}", mmds_store_patch), -EFBIG);
	assert_int_equal(change(&store, "{\"a\":{\"b\":12345}}", mmds_store_patch), -EFBIG);
	assert_data(&store, "{\"a\":12345}");
	assert_int_equal(change(&store, "{\"a\":null,\"b\":1}", mmds_store_patch), 0);
	assert_data(&store, "{\"b\":1}");
	mmds_store_release(&store);
	mmds_store_release(&store);
}

/* The caller's values are not part of the data. */
static void test_copies(void **state)
{
	struct mmds_store store = { .max_bytes = 1000 };
	json_t *value = parse("{\"a\":{\"b\":[1]}}");
	struct err e;

	(void)state;
	assert_int_equal(mmds_store_put(&store, value, &e), 0);
	assert_int_equal(mmds_store_patch(&store, value, &e), 0);
	json_array_clear(json_object_get(json_object_get(value, "a"), "b"));
	json_decref(value);
	assert_data(&store, "{\"a\":{\"b\":[1]}}");
	mmds_store_release(&store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_copies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
