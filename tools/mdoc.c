/* SPDX-License-Identifier: Apache-2.0 */
/* Text of manual pages: see mdoc.h. */
#include "tools/mdoc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

void mdoc_put_text(const char *text)
{
	enum { FILL_COLUMNS = 76 };
	size_t column = 0;

	while (*text) {
		size_t len = strcspn(text, " ");
		bool ends_sentence = strchr(".?!:", text[len - 1]) && text[len];

		if (column > 0 && column + len > FILL_COLUMNS) {
			putchar('\n');
			column = 0;
		}
		if (column > 0)
			putchar(' ');
		else if (*text == '.' || *text == '\'')
			printf("\\&");
		for (size_t i = 0; i < len; i++) {
			if (text[i] == '\\')
				printf("\\e");
			else
				putchar(text[i]);
		}
		column = ends_sentence ? 0 : column + len + 1;
		if (ends_sentence)
			putchar('\n');
		text += len + strspn(text + len, " ");
	}
	if (column > 0)
		putchar('\n');
}
