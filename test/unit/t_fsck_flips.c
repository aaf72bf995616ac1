/* SPDX-License-Identifier: Apache-2.0 */
/* Every single bit of a small store, flipped one at a time: fsck finds each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/unit/fsck_rig.h"

enum { SMALL = 24 << 10 };

static struct fsck_rig rig;
static uint8_t image[SMALL];

static void fill(const struct key_input *key)
{
	rig_make(&rig, key);
	rig_text(image, SMALL, 1);
	rig_import(&rig, "lz4", image, SMALL, "lz4", "fixed:4K");
	rig_text(image, SMALL, 2);
	rig_noise(image, 4096, 2);
	memset(image + 8192, 0, 8192);
	rig_import(&rig, "zstd", image, SMALL, "zstd", "fastcdc:4K");
	if (rig_check(&rig) < 0 || rig.result.problems > 0)
		fail_msg("%s", rig.lines[0]);
	rig_save(&rig);
}

/* One bit in @step, so that each region has some. */
static void flip_all(size_t step)
{
	size_t flips = 0, missed = 0;

	for (size_t i = 0; i < rig.file_count; i++) {
		const struct rig_file *file = &rig.files[i];

		for (size_t bit = step / 2; bit < file->len * 8; bit += step) {
			int r;

			rig_flip(&rig, file->name, bit);
			r = rig_fsck(&rig, &(const struct fsck_options){ .work.threads = 1 });
			flips++;
			if (r == 0 && rig.result.problems == 0) {
				missed++;
				print_message("missed: bit %zu of byte %zu of %s\n", bit % 8,
					      bit / 8, file->name);
			}
			rig_flip(&rig, file->name, bit);
		}
	}
	print_message("%zu flips, %zu missed\n", flips, missed);
	assert_int_equal(missed, 0);
	assert_int_equal(rig_check(&rig), 0);
	assert_int_equal(rig.result.problems, 0);
}

static size_t step(size_t usual)
{
	const char *text = getenv("FSCK_FLIP_STEP");

	return text ? (size_t)atoi(text) : usual;
}

static void test_plain(void **state)
{
	(void)state;
	fill(NULL);
	flip_all(step(997));
	fsck_rig_remove(&rig);
}

static void test_encrypted(void **state)
{
	static const uint8_t secret[32] = { 1, 2, 3 };
	const struct key_input key = { KEY_BYTES, secret, sizeof(secret) };

	(void)state;
	fill(&key);
	flip_all(step(997));
	fsck_rig_remove(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_encrypted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
