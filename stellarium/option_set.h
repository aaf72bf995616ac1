/* SPDX-License-Identifier: Apache-2.0 */
/* Setters for rows of the option tables (base/option.h): each checks the value and stores it. */
#pragma once

#include "stellarium/options.h"

option_setter option_set_text, option_set_size, option_set_key_path;
option_setter option_set_key_fd, option_set_chunking, option_set_codec, option_set_threads;
option_setter option_set_percent, option_set_dictionary_bytes, option_set_help, option_set_version;
