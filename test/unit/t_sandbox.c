/* SPDX-License-Identifier: Apache-2.0 */
/* What control reads and says of the sandbox: files of /proc, JSON, and texts about the policy. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "control/sandbox_json.h"
#include "control/sandbox_process.h"
#include "control/sandbox_text.h"
#include "control/values.h"

static void test_status_lines(void **state)
{
	static const char *const lines[] = {
		"Name:\tvcpu0\x1b[2J",
		"Uid:\t0\t65534\t3\t4",
		"NSpid:\t4711\t5\t2",
		"NoNewPrivs:\t1",
		"Seccomp:\t2",
		"Seccomp_filters:\t3",
		"CapInh:\t0000000000000001",
		"CapPrm:\t00000000000000ff",
		"CapEff:\tffffffffffffffff",
		"CapBnd:\t0000000000000000",
		"CapAmb:\t000001fffeffffff",
		"Nonsense",
		"",
	};
	struct sandbox_thread t = { .nr_filters = -1 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		sandbox_status_line(lines[i], &t);
	/* It goes to terminals, and the process has chosen it. */
	assert_string_equal(t.name, "vcpu0?[2J");
	assert_int_equal(t.uid, 65534);
	assert_int_equal(t.nr_pid_levels, 3);
	assert_true(t.has_no_new_privs);
	assert_int_equal(t.seccomp, 2);
	assert_int_equal(t.nr_filters, 3);
	assert_int_equal(t.capabilities[SANDBOX_CAP_INHERITABLE], 1);
	assert_int_equal(t.capabilities[SANDBOX_CAP_PERMITTED], 0xff);
	assert_true(t.capabilities[SANDBOX_CAP_EFFECTIVE] == UINT64_MAX);
	assert_int_equal(t.capabilities[SANDBOX_CAP_BOUNDING], 0);
	assert_true(t.capabilities[SANDBOX_CAP_AMBIENT] == 0x1fffeffffff);
	sandbox_status_line("NoNewPrivs:\t0", &t);
	assert_false(t.has_no_new_privs);
	sandbox_status_line("Name:\tonce upon a time there was a very long name", &t);
	assert_int_equal(strlen(t.name), SANDBOX_NAME_BYTES - 1);
}

static void test_mountinfo(void **state)
{
	static const char empty[] =
		"112 89 0:42 / / ro,nosuid,nodev,noexec,relatime - tmpfs volt-empty rw,size=4k\n";
	static const char *const others[] = {
		"",
		"\n",
		"112 89 0:42 / / rw,nosuid - tmpfs volt-empty rw\n",
		"112 89 0:42 / / rox - tmpfs volt-empty rw\n",
		"112 89 0:42 / /x ro,nosuid - tmpfs volt-empty rw\n",
		"112 89 8:1 / / ro,nosuid - ext4 /dev/sda1 rw\n",
		"112 89 0:42 / / ro,nosuid - tmpfs a rw\n113 112 0:4 / /proc rw - proc proc rw\n",
	};

	(void)state;
	assert_true(sandbox_root_is_empty(empty));
	assert_true(sandbox_root_is_empty("1 1 0:1 / / ro - tmpfs none ro"));
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		assert_false(sandbox_root_is_empty(others[i]));
}

static void test_limits(void **state)
{
	static const char low[] =
		"Limit                     Soft Limit           Hard Limit           Units     \n"
		"Max core file size        0                    0                    bytes     \n"
		"Max msgqueue size         0                    0                    bytes     \n"
		"Max nice priority         0                    0                    \n"
		"Max realtime priority     0                    0                    \n";
	char text[sizeof(low)];

	(void)state;
	assert_true(sandbox_limits_are_low(low));
	assert_false(sandbox_limits_are_low(""));
	/* Each counts, and its hard value too. */
	for (const char *at = low; (at = strstr(at, " 0  ")) != NULL; at++) {
		memcpy(text, low, sizeof(low));
		text[at - low + 1] = '1';
		assert_false(sandbox_limits_are_low(text));
	}
}

/* Our own process is in nobody's sandbox. */
static void test_own_process(void **state)
{
	struct sandbox_process p;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(sandbox_process_read(getpid(), getpid(), &p, &e), 0);
	assert_int_equal(p.pid, getpid());
	assert_int_equal(p.parent, getppid());
	assert_int_equal(p.nr_threads, 1);
	assert_int_equal(p.threads[0].tid, gettid());
	assert_string_equal(p.threads[0].name, "t_sandbox");
	assert_int_equal(p.threads[0].uid, geteuid());
	for (size_t i = 0; i < SANDBOX_NAMESPACES; i++)
		assert_int_equal(p.namespaces[i], SANDBOX_NO);
	assert_int_equal(p.layers[JAIL_ROOT], SANDBOX_NO);
	assert_int_equal(p.layers[JAIL_LANDLOCK], SANDBOX_UNREADABLE);
	sandbox_process_release(&p);
	assert_int_equal(sandbox_process_read(0x3fffffff, getpid(), &p, &e), -ENOENT);
	assert_null(p.threads);
}

static void test_json(void **state)
{
	static const char *const bad[] = {
		"null",
		"[]",
		"{}",
		"{\"layers\":[]}",
		"{\"layers\":{},\"landlock_abi\":1}",
		"{\"layers\":[],\"landlock_abi\":-1}",
		"{\"layers\":[],\"landlock_abi\":4294967296}",
		"{\"layers\":[],\"landlock_abi\":\"1\"}",
	};
	json_t *json = sandbox_json_new(1u << JAIL_ROOT | 1u << JAIL_SECCOMP, 3, "a\xff");
	uint32_t layers = 0, abi = 0;

	(void)state;
	assert_int_equal(sandbox_json_read(json, &layers, &abi, NULL), 0);
	assert_int_equal(layers, 1u << JAIL_ROOT | 1u << JAIL_SECCOMP);
	assert_int_equal(abi, 3);
	assert_int_equal(json_array_size(json_object_get(json, "missing")), JAIL_LAYERS - 2);
	assert_string_equal(json_string_value(json_object_get(json, "reason")), "a?");
	json_decref(json);
	json = json_loads("{\"layers\":[\"limits\",\"walls\",7],\"landlock_abi\":0}", 0, NULL);
	assert_int_equal(sandbox_json_read(json, &layers, &abi, NULL), 0);
	assert_int_equal(layers, 1u << JAIL_LIMITS);
	json_decref(json);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		json = json_loads(bad[i], JSON_DECODE_ANY, NULL);
		assert_int_equal(sandbox_json_read(json, &layers, &abi, NULL), -EPROTO);
		json_decref(json);
	}
}

/* All names together fit, and come back. */
static void test_layers(void **state)
{
	char text[VALUE_LAYERS_BYTES];
	uint32_t mask = 0;

	(void)state;
	for (uint32_t all = 0; all <= JAIL_ALL_LAYERS; all++) {
		assert_int_equal(value_layers("x", value_layers_print(all, text), &mask, NULL), 0);
		assert_int_equal(mask, all);
	}
	assert_int_equal(value_layers("x", "seccomp,seccomp", &mask, NULL), 0);
	assert_int_equal(mask, 1u << JAIL_SECCOMP);
}

static void test_texts(void **state)
{
	const struct jail_syscall plain = { .name = "read" };
	const struct jail_syscall checked = {
		.checks = { { 1, UINT32_MAX, 0xae80 }, { 2, 4, 0 } },
	};
	char text[SANDBOX_CONDITION_BYTES];

	(void)state;
	for (int i = 0; i < JAIL_LAYERS; i++) {
		const struct sandbox_layer_text *t = sandbox_layer_text((enum jail_layer)i);

		assert_non_null(t->takes);
		assert_non_null(t->keeps);
		assert_non_null(t->needs);
	}
	assert_string_equal(sandbox_condition(&plain, text), "");
	assert_string_equal(sandbox_condition(&checked, text),
			    "argument 1 is 0xae80, argument 2 & 0x4 is 0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status_lines), cmocka_unit_test(test_mountinfo),
		cmocka_unit_test(test_limits),	     cmocka_unit_test(test_own_process),
		cmocka_unit_test(test_json),	     cmocka_unit_test(test_layers),
		cmocka_unit_test(test_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
