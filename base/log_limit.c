/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of log lines by place: see log_limit.h. */
#include "base/log_limit.h"

#include <inttypes.h>
#include <stdio.h>

enum {
	PROBES = 8, /* how far from its first choice a place may be put */
	KEY_SHIFT = 4, /* struct log_sites are this far apart, or more */
};

static uint32_t lines_max(const struct log_site *site)
{
	return site->process ? LOG_LIMIT_PROCESS_LINES : LOG_LIMIT_LINES;
}

static const void *key_of(const struct log_site *site)
{
	return site->process ? (const void *)site->process : (const void *)site;
}

static void report_slot(struct log_limit_slot *slot, log_limit_report_fn report, void *opaque)
{
	struct log_site site = slot->site;
	char line[LOG_LINE_BYTES];

	snprintf(line, sizeof(line), "%" PRIu64 " messages were suppressed due to rate limiting",
		 slot->dropped);
	if (site.level > LOG_LEVEL_WARN)
		site.level = LOG_LEVEL_WARN;
	slot->dropped = 0;
	report(opaque, &site, line);
}

/* Every window that is over at @now_ms; sets when to look again. */
static void report_due_locked(struct log_limit *limit, uint64_t now_ms, log_limit_report_fn report,
			      void *opaque)
{
	uint64_t next_ms = 0;

	if (limit->next_report_ms == 0 || now_ms < limit->next_report_ms)
		return;
	for (size_t i = 0; i < LOG_LIMIT_SLOTS; i++) {
		struct log_limit_slot *slot = &limit->slots[i];
		const uint64_t end_ms = slot->start_ms + LOG_LIMIT_MS;

		if (slot->dropped == 0)
			continue;
		if (end_ms <= now_ms)
			report_slot(slot, report, opaque);
		else if (next_ms == 0 || end_ms < next_ms)
			next_ms = end_ms;
	}
	limit->next_report_ms = next_ms;
}

/* The slot of @key; a free one, or the one used least lately among its places, when it has none. */
static struct log_limit_slot *find_locked(struct log_limit *limit, const void *key)
{
	const size_t first = (uintptr_t)key >> KEY_SHIFT;
	struct log_limit_slot *oldest = NULL;

	for (size_t i = 0; i < PROBES; i++) {
		struct log_limit_slot *slot = &limit->slots[(first + i) % LOG_LIMIT_SLOTS];

		if (slot->key == key)
			return slot;
		if (!oldest || !slot->key ||
		    (oldest->key && slot->dropped == 0 && slot->start_ms < oldest->start_ms))
			oldest = slot;
	}
	return oldest;
}

static void await_report_locked(struct log_limit *limit, uint64_t at_ms)
{
	if (limit->next_report_ms == 0 || at_ms < limit->next_report_ms)
		limit->next_report_ms = at_ms;
}

bool log_limit_allows(struct log_limit *limit, const struct log_site *site, uint64_t now_ms,
		      log_limit_report_fn report, void *opaque)
{
	const void *key = key_of(site);
	struct log_limit_slot *slot;
	bool is_allowed;

	if (site->is_unlimited)
		return true;
	pthread_mutex_lock(&limit->lock);
	report_due_locked(limit, now_ms, report, opaque);
	slot = find_locked(limit, key);
	if (slot->key != key || now_ms - slot->start_ms >= LOG_LIMIT_MS) {
		if (slot->dropped > 0)
			report_slot(slot, report, opaque);
		*slot = (struct log_limit_slot){ .key = key, .start_ms = now_ms };
	}
	is_allowed = slot->count < lines_max(site);
	if (is_allowed) {
		slot->count++;
	} else {
		slot->site = *site;
		if (site->process)
			slot->site.file = "?"; /* it may be gone when this is reported */
		slot->dropped++;
		limit->dropped++;
		await_report_locked(limit, slot->start_ms + LOG_LIMIT_MS);
	}
	pthread_mutex_unlock(&limit->lock);
	return is_allowed;
}

void log_limit_flush(struct log_limit *limit, log_limit_report_fn report, void *opaque)
{
	pthread_mutex_lock(&limit->lock);
	report_due_locked(limit, UINT64_MAX, report, opaque);
	pthread_mutex_unlock(&limit->lock);
}

uint64_t log_limit_dropped(struct log_limit *limit)
{
	uint64_t dropped;

	pthread_mutex_lock(&limit->lock);
	dropped = limit->dropped;
	pthread_mutex_unlock(&limit->lock);
	return dropped;
}
