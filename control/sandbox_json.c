/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox of a virtual machine in JSON: see sandbox_json.h. */
#include "control/sandbox_json.h"

#include <errno.h>

#include "control/json/json.h"
#include "jail/layer.h"

static json_t *names_new(uint32_t mask)
{
	json_t *list = json_array();

	for (int i = 0; i < JAIL_LAYERS; i++) {
		if (mask & 1u << i)
			json_array_append_new(list,
					      json_string(jail_layer_name((enum jail_layer)i)));
	}
	return list;
}

json_t *sandbox_json_missing(uint32_t layers)
{
	return names_new(JAIL_ALL_LAYERS & ~layers);
}

json_t *sandbox_json_new(uint32_t layers, uint32_t landlock_abi, const char *why)
{
	return json_pack("{s:o,s:o,s:o,s:I}", "layers", names_new(layers & JAIL_ALL_LAYERS),
			 "missing", sandbox_json_missing(layers), "reason",
			 json_text_new(*why ? why : NULL), "landlock_abi",
			 (json_int_t)landlock_abi);
}

int sandbox_json_read(const json_t *json, uint32_t *layers, uint32_t *landlock_abi, struct err *e)
{
	const json_t *list = json_object_get(json, "layers");
	const json_t *abi = json_object_get(json, "landlock_abi");
	uint32_t mask = 0;

	if (!json_is_array(list) || !json_is_integer(abi) || json_integer_value(abi) < 0 ||
	    json_integer_value(abi) > UINT32_MAX)
		return err_set(e, -EPROTO, "the virtual machine does not say what its sandbox is");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *name = json_array_get(list, i);
		const int layer = json_is_string(name)
					  ? jail_layer_find(json_string_value(name),
							    (unsigned int)json_string_length(name))
					  : -1;

		if (layer >= 0)
			mask |= 1u << layer;
	}
	*layers = mask;
	*landlock_abi = (uint32_t)json_integer_value(abi);
	return 0;
}
