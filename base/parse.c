/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and sizes: see parse.h. */
#include "base/parse.h"

#include <errno.h>
#include <string.h>

#include "base/checked.h"

/* Reads digits, leaves *@end behind them. */
static int digits(const char *text, const char **end, uint64_t *value)
{
	uint64_t v = 0;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	for (; *text >= '0' && *text <= '9'; text++) {
		if (!ck_mul(v, 10, &v) || !ck_add(v, (uint64_t)(*text - '0'), &v))
			return -ERANGE;
	}
	*end = text;
	*value = v;
	return 0;
}

int parse_u64(const char *text, uint64_t *value)
{
	const char *end;
	int r = digits(text, &end, value);

	if (r < 0)
		return r;
	return *end == '\0' ? 0 : -EINVAL;
}

int parse_size(const char *text, uint64_t *bytes)
{
	static const char suffixes[] = "KMGT";
	const char *end;
	const char *s;
	uint64_t v;
	int r = digits(text, &end, &v);

	if (r < 0)
		return r;
	s = *end ? strchr(suffixes, *end & ~0x20) : NULL;
	if (s) {
		unsigned int shift = 10 * (unsigned int)(s - suffixes + 1);

		if (!ck_mul(v, UINT64_C(1) << shift, &v))
			return -ERANGE;
		end++;
		if (*end == 'i' && end[1] == 'B')
			end++;
	}
	if (*end == 'B')
		end++;
	if (*end != '\0')
		return -EINVAL;
	*bytes = v;
	return 0;
}
