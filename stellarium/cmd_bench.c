/* SPDX-License-Identifier: Apache-2.0 */
/* Measurements on this machine: see cmd.h and bench.h. */
#include <stdio.h>

#include "stellarium/bench.h"
#include "stellarium/cmd.h"
#include "stellarium/exit_status.h"
#include "stellarium/text.h"

static json_t *row_to_json(const struct bench_row *row)
{
	json_t *json = json_pack("{s:s, s:I}", "name", row->name, "bytes_per_s",
				 (json_int_t)row->bytes_per_s);

	if (json && row->decode_bytes_per_s > 0)
		json_object_set_new(json, "decode_bytes_per_s",
				    json_integer((json_int_t)row->decode_bytes_per_s));
	if (json && row->ratio > 0)
		json_object_set_new(json, "ratio", json_real(row->ratio));
	if (json && row->latency_us > 0)
		json_object_set_new(json, "latency_us", json_real(row->latency_us));
	return json;
}

static int print_json(const struct bench *b)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < b->nr_rows; i++)
		json_array_append_new(rows, row_to_json(&b->rows[i]));
	return cmd_finish_json(json_pack("{s:s, s:I, s:i, s:o}", "data", b->source, "bytes",
					 (json_int_t)b->len, "threads", (int)b->threads, "results",
					 rows),
			       EXIT_STATUS_OK);
}

static int print(const struct bench *b)
{
	printf("data: %s, %s; %u threads\n", b->source, text_size(b->len).text, b->threads);
	for (size_t i = 0; i < b->nr_rows; i++) {
		const struct bench_row *row = &b->rows[i];

		printf("%-28s %12s", row->name, text_rate((uint64_t)row->bytes_per_s, 1).text);
		if (row->decode_bytes_per_s > 0)
			printf(", back %12s", text_rate((uint64_t)row->decode_bytes_per_s, 1).text);
		if (row->ratio > 0)
			printf(", %.2f to 1", row->ratio);
		if (row->latency_us > 0)
			printf(", %.2f us each", row->latency_us);
		putchar('\n');
	}
	return cmd_finish(EXIT_STATUS_OK);
}

int cmd_bench(struct options *o)
{
	struct bench bench;
	struct err e = { 0 };
	int status;
	int r = bench_open(&bench, o, o->nr_operands ? o->operands[0] : NULL, &e);

	if (r == 0)
		r = bench_hashing(&bench, &e);
	if (r == 0 && !o->is_hash_only)
		r = bench_parts(&bench, &e);
	if (r == 0 && !o->is_hash_only)
		r = bench_store(&bench, &e);
	if (r < 0)
		status = cmd_fail(&e);
	else
		status = o->is_json ? print_json(&bench) : print(&bench);
	bench_close(&bench);
	return status;
}
