/* SPDX-License-Identifier: Apache-2.0 */
/* The progress bar: see progress.h. */
#include "stellarium/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "stellarium/console.h"
#include "stellarium/text.h"

enum {
	COLUMNS_DEFAULT = 80,
	COLUMNS_MIN = 20,
	COLUMNS_MAX = 200,
	BAR_COLUMNS = 20,
	NAME_COLUMNS = 30,
	LINE_BYTES = 512,
};

#define FIRST_S 1.0 /* what takes less needs no bar */
#define REDRAW_S 0.1
#define MEASURE_S 0.5
#define SMOOTHING 0.3 /* of the rate: the share that the last measurement has */

void progress_begin(struct progress *p, const char *what, bool is_quiet)
{
	*p = (struct progress){
		.is_on = !is_quiet && console_is_terminal(),
		.what = what,
		.start_s = text_now_s(),
		.lock = PTHREAD_MUTEX_INITIALIZER,
	};
	p->measured_s = p->start_s;
}

/* The terminal may have been resized since the last time. */
static size_t columns(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
		return COLUMNS_DEFAULT;
	return size.ws_col < COLUMNS_MIN ? COLUMNS_MIN : min_u64(size.ws_col, COLUMNS_MAX);
}

static void measure_locked(struct progress *p, uint64_t done, double now)
{
	const double passed = now - p->measured_s;
	double rate;

	if (passed < MEASURE_S || done < p->measured)
		return;
	rate = (double)(done - p->measured) / passed;
	p->rate = p->rate == 0 ? rate : p->rate + SMOOTHING * (rate - p->rate);
	p->measured = done;
	p->measured_s = now;
}

static void format_bar(char bar[static BAR_COLUMNS + 3], uint64_t done, uint64_t total)
{
	const size_t full = (size_t)((double)done / (double)total * BAR_COLUMNS);

	bar[0] = '[';
	memset(bar + 1, ' ', BAR_COLUMNS);
	memset(bar + 1, '=', full);
	if (full < BAR_COLUMNS)
		bar[1 + full] = '>';
	memcpy(bar + 1 + BAR_COLUMNS, "]", sizeof("]"));
}

static void draw_locked(struct progress *p, uint64_t done, uint64_t total)
{
	const struct text rate = text_rate((uint64_t)p->rate, 1);
	char line[LINE_BYTES], out[LINE_BYTES + 16];
	char bar[BAR_COLUMNS + 3];
	int len;

	if (total == 0) {
		snprintf(line, sizeof(line), "%.*s  %s, %s, %s", NAME_COLUMNS, p->what,
			 text_size(done).text, rate.text,
			 text_clock((uint64_t)(p->drawn_s - p->start_s)).text);
	} else {
		done = min_u64(done, total);
		format_bar(bar, done, total);
		len = snprintf(line, sizeof(line), "%.*s %3d%% %s %s of %s, %s", NAME_COLUMNS,
			       p->what, (int)((double)done / (double)total * 100), bar,
			       text_size(done).text, text_size(total).text, rate.text);
		if (p->rate > 0)
			snprintf(line + len, sizeof(line) - (size_t)len, ", %s left",
				 text_clock((uint64_t)((double)(total - done) / p->rate)).text);
	}
	/* A line that reached the edge would become two, and "\r" would not get behind the first. */
	line[columns() - 1] = '\0';
	len = snprintf(out, sizeof(out), "\r%s\033[K", line);
	p->is_drawn = file_write_full(STDERR_FILENO, out, (size_t)len) == 0 || p->is_drawn;
}

void progress_update(void *opaque, uint64_t done, uint64_t total)
{
	struct progress *p = opaque;
	double now;

	/* Who finds another thread at it need not wait: the next call will do. */
	if (!p->is_on || pthread_mutex_trylock(&p->lock) != 0)
		return;
	now = text_now_s();
	measure_locked(p, done, now);
	if (now - p->start_s >= FIRST_S && now - p->drawn_s >= REDRAW_S) {
		p->drawn_s = now;
		draw_locked(p, done, total);
	}
	pthread_mutex_unlock(&p->lock);
}

double progress_end(struct progress *p)
{
	static const char clear[] = "\r\033[K";

	pthread_mutex_lock(&p->lock);
	if (p->is_drawn)
		(void)!file_write_full(STDERR_FILENO, clear, sizeof(clear) - 1);
	p->is_on = false;
	p->is_drawn = false;
	pthread_mutex_unlock(&p->lock);
	return text_now_s() - p->start_s;
}
