/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Volt's API says about the program: health, metrics, and the description of the API itself,
 * docs/api.yaml, which is part of the program byte for byte (control/meson.build).
 */
#include <stdlib.h>

#include <event2/buffer.h>

#include "control/api/v1_api.h"
#include "control/metrics.h"

/* Of the object file that is made of docs/api.yaml. */
extern const char api_yaml_start[];
extern const char api_yaml_end[];

static const struct {
	const char *start;
	const char *end;
} api_yaml = { api_yaml_start, api_yaml_end };

void v1_openapi_get(struct api_call *call)
{
	api_call_reply(call, &(struct http_response){
				     .status = 200,
				     .content_type = "application/yaml",
				     .body = api_yaml.start,
				     .body_len = (size_t)(api_yaml.end - api_yaml.start),
			     });
}

void v1_health_get(struct api_call *call)
{
	const enum session_state state = session_state(call->api->instance->session);

	api_call_reply_json(call, 200, NULL,
			    json_pack("{s:s,s:s,s:s}", "status", "ok", "state",
				      v1_state_name(state), "version", VOLT_VERSION));
}

void v1_metrics_get(struct api_call *call)
{
	struct evbuffer *text = evbuffer_new();

	if (!text || metrics_write_prometheus(call->api->instance->metrics, text) < 0) {
		v1_problem(call, 503, "there is no memory for the metrics");
	} else {
		/* The version is that of the exposition format, not ours. */
		api_call_reply(call, &(struct http_response){
					     .status = 200,
					     .content_type = "text/plain; version=0.0.4",
					     .body = (const char *)evbuffer_pullup(text, -1),
					     .body_len = evbuffer_get_length(text),
				     });
	}
	if (text)
		evbuffer_free(text);
}
