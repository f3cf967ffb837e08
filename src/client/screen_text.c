/* SPDX-License-Identifier: BSD-3-Clause */
#include "screen_text.h"

#include <stdint.h>
#include <string.h>
#include <wchar.h>

void screen_begin(struct screen *s, int n_rows, int n_columns)
{
	s->n_rows = n_rows < 1 ? 1 : n_rows;
	s->n_columns = n_columns < 1 ? 1 : n_columns;
	if (s->n_rows > SCREEN_ROWS_MAX)
		s->n_rows = SCREEN_ROWS_MAX;
	if (s->n_columns > SCREEN_COLUMNS_MAX)
		s->n_columns = SCREEN_COLUMNS_MAX;
	s->n_used = 0;
}

struct screen_line *screen_line_next(struct screen *s, enum line_style style)
{
	struct screen_line *l;

	if (s->n_used == s->n_rows)
		return NULL;
	l = &s->lines[s->n_used++];
	l->style = style;
	l->n_columns = 0;
	l->n_bytes = 0;
	l->text[0] = '\0';
	return l;
}

/* One character of UTF-8. Returns its bytes; 1 with U+FFFD where it is none. */
static size_t character_read(const char *text, uint32_t *ret_code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *c = (const unsigned char *)text;
	size_t n = c[0] < 0x80 ? 1 : c[0] >= 0xf0 ? 4 : c[0] >= 0xe0 ? 3 : 2;
	uint32_t code = n == 1 ? c[0] : c[0] & (0xffu >> (n + 1));

	*ret_code = 0xfffd;
	if (c[0] >= 0xf8 || (c[0] >= 0x80 && c[0] < 0xc0))
		return 1;
	for (size_t i = 1; i < n; i++) {
		if ((c[i] & 0xc0) != 0x80) /* also at the end of the text */
			return 1;
		code = code << 6 | (c[i] & 0x3fu);
	}
	if (code >= least[n] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff))
		*ret_code = code;
	else
		n = 1;
	return n;
}

/* Columns of a character that may be shown, else 0. */
static int character_width(uint32_t code)
{
	int width;

	if (code < 0x7f)
		return code >= 0x20;
	if (code < 0xa0 || code == 0xfffd)
		return 0;
	width = wcwidth((wchar_t)code);
	return width > 0 ? width : 0;
}

int text_width(const char *text)
{
	int width = 0;
	uint32_t code;

	while (*text != '\0') {
		int w;

		text += character_read(text, &code);
		w = character_width(code);
		width += w > 0 ? w : 1;
	}
	return width;
}

static void line_put(struct screen_line *l, const char *bytes, size_t n, int width)
{
	memcpy(l->text + l->n_bytes, bytes, n);
	l->n_bytes += n;
	l->n_columns += width;
	l->text[l->n_bytes] = '\0';
}

void line_add(struct screen_line *l, int until, const char *text)
{
	if (l == NULL)
		return;
	if (until > SCREEN_COLUMNS_MAX)
		until = SCREEN_COLUMNS_MAX;
	while (*text != '\0') {
		uint32_t code;
		size_t n = character_read(text, &code);
		int width = character_width(code);

		if (l->n_columns + (width > 0 ? width : 1) > until)
			return;
		if (width > 0)
			line_put(l, text, n, width);
		else
			line_put(l, "?", 1, 1);
		text += n;
	}
}

void line_pad(struct screen_line *l, int until)
{
	if (until > SCREEN_COLUMNS_MAX)
		until = SCREEN_COLUMNS_MAX;
	while (l != NULL && l->n_columns < until)
		line_put(l, " ", 1, 1);
}

void line_cell(struct screen_line *l, int until, int width, bool right, const char *text)
{
	int needed = text_width(text);
	int end;

	if (l == NULL)
		return;
	end = l->n_columns + width < until ? l->n_columns + width : until;
	if (right && needed < end - l->n_columns)
		line_pad(l, end - needed);
	if (needed <= end - l->n_columns) {
		line_add(l, end, text);
	} else if (end > l->n_columns) {
		line_add(l, end - 1, text);
		line_pad(l, end - 1); /* before a wide character that did not fit */
		line_add(l, end, "~");
	}
	line_pad(l, end);
}
