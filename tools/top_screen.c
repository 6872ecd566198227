// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * One thread, one loop: it asks, hears, draws, and waits for keys or the next look.
 * What it draws is made as lines of text and put on the screen row by row, so that a
 * window of any size shows as much of it as there is room for.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <curses.h>

#include "common.h"
#include "top_screen.h"
#include "top_text.h"
#include "top_view.h"

#define KEY_ESCAPE 27
#define ANSWER_S   1.0 /* so long a look waits before it shows what there is */

enum page { LIST, DETAILS, HELP };

static struct {
	struct top_source *source;
	struct top_view view;
	enum page page;
	enum top_sort sort;
	unsigned int selected, first; /* rows; of the list and of the page */
	double delay, next;
	/* what is selected, wherever its row is after the next look */
	const struct top_registry *registry;
	uint64_t incarnation; /* 0: the registry itself */
	char client[64];
	bool over;
} self;

static volatile sig_atomic_t ended;

static void on_end(int sig)
{
	(void)sig;
	ended = 1;
}

/* ---- which row is selected ---- */

static uint64_t incarnation_of(const struct top_row *row)
{
	return (uint64_t)json_integer_value(
		json_object_get(row->device, "incarnation"));
}

static void keep_selected(void)
{
	const struct top_row *row;

	if (self.selected >= self.view.num)
		return;
	row = &self.view.rows[self.selected];
	self.registry = row->registry;
	self.incarnation = incarnation_of(row);
	snprintf(self.client, sizeof(self.client), "%s",
		 view_text(row->client, "name"));
}

static bool is_selected(const struct top_row *row)
{
	char client[64];

	snprintf(client, sizeof(client), "%s", view_text(row->client, "name"));
	return row->registry == self.registry &&
	       incarnation_of(row) == self.incarnation &&
	       !strcmp(client, self.client);
}

/* false: it is gone; then what is in its place is selected */
static bool find_selected(void)
{
	unsigned int i;

	for (i = 0; i < self.view.num; i++) {
		if (is_selected(&self.view.rows[i])) {
			self.selected = i;
			return true;
		}
	}
	if (self.selected >= self.view.num)
		self.selected = self.view.num ? self.view.num - 1 : 0;
	keep_selected();
	return false;
}

/* ---- drawing ---- */

/* one line of @text, which it returns the rest of */
static const char *draw_line(int y, const char *text, attr_t attr)
{
	size_t len = strcspn(text, "\n");

	if (y < LINES) {
		attrset(attr);
		mvaddnstr(y, 0, text, (int)len);
		attrset(A_NORMAL);
	}
	return text + len + (text[len] == '\n');
}

static void draw_made(int y, attr_t attr, FILE *line, char **text)
{
	if (!fclose(line))
		draw_line(y, *text, attr);
	free(*text);
	*text = NULL;
}

#define DRAW(y, attr, call)                                 \
	do {                                                \
		char *text = NULL;                          \
		size_t len;                                 \
		FILE *out = open_memstream(&text, &len);    \
		if (out) {                                  \
			call;                               \
			draw_made((y), (attr), out, &text); \
		}                                           \
	} while (0)

static void draw_head(void)
{
	char more[64];

	snprintf(more, sizeof(more), "every %gs  sort %s  h help", self.delay,
		 view_sort_name(self.sort));
	DRAW(0, A_BOLD, view_summary(out, &self.view, COLS));
	DRAW(1, A_NORMAL, view_rates(out, &self.view, more, COLS));
}

/*
 * Lines of a table: the registries may have a third of the window, so that what
 * hangs is to be seen; then the one that is selected is among those shown.
 */
static int draw_rows(int y, int rows, unsigned int from, unsigned int to)
{
	unsigned int i, first = from;

	if (rows < 1)
		return y;
	if (self.selected >= from && self.selected < to &&
	    self.selected >= from + (unsigned int)rows)
		first = self.selected - (unsigned int)rows + 1;
	for (i = first; i < to && rows > 0; i++, rows--, y++)
		DRAW(y,
		     (i == self.selected ? A_REVERSE : A_NORMAL) |
			     (self.view.rows[i].trouble ? A_BOLD : A_NORMAL),
		     view_row(out, &self.view.rows[i], COLS));
	return y;
}

static void draw_nobody(void)
{
	int y = 3;

	DRAW(y++, A_NORMAL, fprintf(out, "No process has a status socket in"));
	DRAW(y++, A_BOLD, text_put(out, self.source->dir, COLS - 1));
	DRAW(y++, A_NORMAL,
	     fprintf(out, "A program has one if it is run with"));
	DRAW(y++, A_BOLD, {
		fputs("IBC_STATUS_DIR=", out);
		text_put(out, self.source->dir, COLS > 16 ? COLS - 16 : 0);
	});
	DRAW(y, A_NORMAL,
	     fprintf(out, "(IBC_TRACK_REFS=1 names who holds what)"));
}

static void draw_list(void)
{
	unsigned int num = self.view.num_registries;
	int room = LINES - 6, third;

	draw_head();
	if (!num) {
		draw_nobody();
		return;
	}
	third = room / 3 > 1 ? room / 3 : 1;
	if ((int)num < third)
		third = (int)num;
	DRAW(3, A_UNDERLINE, view_title(out, true, COLS));
	draw_rows(4, third, 0, num);
	DRAW(5 + third, A_UNDERLINE, view_title(out, false, COLS));
	draw_rows(6 + third, LINES - 6 - third, num, self.view.num);
}

static void draw_text(const char *text, const char *end)
{
	const char *rest = text;
	unsigned int i, lines = 0;
	int y;

	for (i = 0; text[i]; i++)
		lines += text[i] == '\n';
	if (self.first >= lines)
		self.first = lines ? lines - 1 : 0;
	for (i = 0; i < self.first; i++)
		rest += strcspn(rest, "\n") + 1;
	for (y = 0; y < LINES - 1 && *rest; y++)
		rest = draw_line(y, rest, A_NORMAL);
	draw_line(LINES - 1, end, A_REVERSE);
}

static void draw_details(void)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return;
	if (self.selected < self.view.num)
		view_details(out, &self.view.rows[self.selected], COLS);
	if (!fclose(out))
		draw_text(text, "Enter: back");
	free(text);
}

static void draw(void)
{
	static const char help[] =
		"up, down    select a row      s  sort\n"
		"Enter       all that is known of it\n"
		"q           quit              h  this help\n"
		"\n"
		"DRAINING  the removal waits for references\n"
		"REMOVING  remove() of the clients runs\n"
		"LEAVING   the client is unregistering\n"
		"SILENT    no thread is there to answer\n"
		"FOR       how long it is seen so; > more\n"
		"HELD BY   with IBC_TRACK_REFS=1; ? without\n";

	erase();
	if (self.page == HELP)
		draw_text(help, "Enter: back");
	else if (self.page == DETAILS)
		draw_details();
	else
		draw_list();
	refresh();
}

/* ---- keys ---- */

static void move_by(int rows)
{
	unsigned int *where = self.page == LIST ? &self.selected : &self.first;

	if (rows < 0 && *where < (unsigned int)-rows)
		*where = 0;
	else
		*where += (unsigned int)rows;
	if (self.page == LIST && *where >= self.view.num)
		*where = self.view.num ? self.view.num - 1 : 0;
	if (self.page == LIST)
		keep_selected();
}

static void turn_to(enum page page)
{
	self.page = self.page == page ? LIST : page;
	self.first = 0;
}

static void take_sort(void)
{
	self.sort = (self.sort + 1) % TOP_NUM_SORTS;
	view_free(&self.view);
	view_make(&self.view, self.source, self.sort);
	find_selected();
}

static void take_key(int key)
{
	if (key == 'q')
		self.over = true;
	else if (key == 's' && self.page == LIST)
		take_sort();
	else if (key == 'h' || key == '?')
		turn_to(HELP);
	else if (key == KEY_UP || key == 'k')
		move_by(-1);
	else if (key == KEY_DOWN || key == 'j')
		move_by(1);
	else if (key == KEY_PPAGE)
		move_by(-10);
	else if (key == KEY_NPAGE)
		move_by(10);
	else if (key == '\n' || key == '\r' || key == KEY_ENTER)
		turn_to(self.page == LIST ? DETAILS : self.page);
	else if (key == KEY_ESCAPE)
		turn_to(self.page);
}

/* ---- the loop ---- */

static void take_keys(void)
{
	int key;

	while ((key = getch()) != ERR) {
		take_key(key);
		draw();
	}
}

static bool is_over(void)
{
	return ended || self.over;
}

/* the old rows point into answers that hearing replaces */
static void look(void)
{
	double until = top_now() + ANSWER_S;

	view_free(&self.view);
	top_ask(self.source);
	while (!top_hear(self.source, STDIN_FILENO, until) &&
	       top_now() < until && !is_over()) {
		if (view_make(&self.view, self.source, self.sort))
			break;
		find_selected();
		take_keys();
		view_free(&self.view);
	}
	view_make(&self.view, self.source, self.sort);
	if (!find_selected() && self.page == DETAILS)
		turn_to(LIST);
	draw();
}

/* false: the terminal is gone */
static bool wait_for_keys(void)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	double left = self.next - top_now();

	if (left <= 0)
		return true;
	if (poll(&in, 1, (int)(left * 1000) + 1) < 0)
		return errno == EINTR;
	return !(in.revents & (POLLHUP | POLLERR | POLLNVAL));
}

static void loop(unsigned long count)
{
	unsigned long looks = 0;

	while (!is_over()) {
		self.next = top_now() + self.delay;
		look();
		if (count && ++looks >= count)
			return;
		while (!is_over() && top_now() < self.next) {
			if (!wait_for_keys())
				return;
			take_keys();
		}
	}
}

int screen_run(struct top_source *s, double delay, unsigned long count)
{
	const struct sigaction end = { .sa_handler = on_end };
	SCREEN *screen;

	self.source = s;
	self.delay = delay;
	screen = newterm(NULL, stdout, stdin);
	if (!screen) {
		tool_error("terminal",
			   "TERM is \"%s\", which is not known here: set "
			   "another, or use -b",
			   getenv("TERM") ? getenv("TERM") : "");
		return TOOL_FAILED;
	}
	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGINT, &end, NULL);
	sigaction(SIGHUP, &end, NULL);
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(50);
	curs_set(0);
	loop(count);
	view_free(&self.view);
	endwin();
	delscreen(screen);
	return TOOL_OK;
}
