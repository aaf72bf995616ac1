/* SPDX-License-Identifier: Apache-2.0 */
/* Forms of a log line: see log_line.h. */
#include "control/log_line.h"

#include <stdio.h>
#include <string.h>

#include "control/json_text.h"

/* As Firecracker writes them; JSON has them in lower case. */
static const char *const level_names[][2] = {
	[LOG_LEVEL_ERROR] = { "ERROR", "error" },
	[LOG_LEVEL_WARN] = { "WARN", "warn" },
	[LOG_LEVEL_INFO] = { "INFO", "info" },
	[LOG_LEVEL_DEBUG] = { "DEBUG", "debug" },
};

enum { TIME_BYTES = 40, ORIGIN_BYTES = 160, ORIGIN_CHARS = 120 };

/* "2026-01-31T12:00:00.123456789" */
static void put_time(char out[static TIME_BYTES], const struct timespec *now, const struct tm *tm)
{
	const size_t len = strftime(out, TIME_BYTES, "%Y-%m-%dT%H:%M:%S", tm);

	snprintf(out + len, TIME_BYTES - len, ".%09ld", now->tv_nsec);
}

static size_t form_text(char text[static LOG_FORM_BYTES], const struct log_form *form,
			const struct timespec *now, const struct log_site *site, const char *line)
{
	char stamp[TIME_BYTES], origin[ORIGIN_BYTES] = "";
	struct tm tm;
	int len;

	put_time(stamp, now, localtime_r(&now->tv_sec, &tm));
	if (form->has_origin)
		snprintf(origin, sizeof(origin), ":%.*s:%u", ORIGIN_CHARS, log_site_file(site),
			 site->line);
	len = snprintf(text, LOG_FORM_BYTES, "%s [%s:%s%s%s%s] %.*s\n", stamp, form->id,
		       site->process ? site->process : "main", form->has_level ? ":" : "",
		       form->has_level ? level_names[site->level][0] : "", origin, LOG_LINE_BYTES,
		       line);
	for (int i = 0; i < len - 1; i++) {
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			text[i] = '?';
	}
	return (size_t)len;
}

static size_t form_json(char text[static LOG_FORM_BYTES], const struct log_form *form,
			const struct timespec *now, const struct log_site *site, const char *line)
{
	char stamp[TIME_BYTES], file[ORIGIN_BYTES], origin[ORIGIN_BYTES + 40] = "";
	char message[JSON_TEXT_BYTES(LOG_LINE_BYTES)], id[JSON_TEXT_BYTES(LOG_FORM_ID_BYTES)];
	struct tm tm;

	put_time(stamp, now, gmtime_r(&now->tv_sec, &tm));
	json_text(message, sizeof(message), line);
	json_text(id, sizeof(id), form->id);
	if (form->has_origin) {
		json_text(file, sizeof(file), log_site_file(site));
		snprintf(origin, sizeof(origin), "\"file\":\"%s\",\"line\":%u,", file, site->line);
	}
	return (size_t)snprintf(text, LOG_FORM_BYTES,
				"{\"time\":\"%sZ\",\"level\":\"%s\",\"id\":\"%s\","
				"\"thread\":\"%s\",%s\"message\":\"%s\"}\n",
				stamp, level_names[site->level][1], id,
				site->process ? site->process : "main", origin, message);
}

size_t log_form_line(char text[static LOG_FORM_BYTES], const struct log_form *form,
		     const struct timespec *now, const struct log_site *site, const char *line)
{
	return form->is_json ? form_json(text, form, now, site, line)
			     : form_text(text, form, now, site, line);
}
