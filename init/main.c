/* SPDX-License-Identifier: Apache-2.0 */
/*
 * volt-init: PID 1 of a microVM.
 *
 * As /init of an initramfs it loads modules, finds the root disk and hands over to the init there.
 * As /sbin/init of a root disk, or in an initramfs of a guest without one, it prepares the guest,
 * runs one command (or a shell) and ends the guest when that ends. It takes from the kernel command
 * line, besides what root.h lists and the parameters of modules:
 *
 *	volt.cmd64=, volt.cmd=	shell command to run (base64url or plain); or words after "--"
 *	volt.hostname=		host name
 *	volt.hello		print one line first of all
 *	volt.debug		say what goes on
 */
#include "init/cmdline.h"
#include "init/console.h"
#include "init/file.h"
#include "init/halt.h"
#include "init/host.h"
#include "init/modules.h"
#include "init/mounts.h"
#include "init/root.h"
#include "init/run.h"
#include "init/say.h"
#include "init/shutdown.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MODULES_DIR "/lib/modules"
#define SHELL "/bin/sh"

/* The words of a command after "--" are at most as many as the command line has. */
struct command {
	char text[CMDLINE_SIZE];
	char *argv[CMDLINE_ARGS_MAX + 1];
	bool is_shell; /* nothing was asked for */
};

/* After a message: the guest ends with a status that no command was run for. */
static _Noreturn void give_up(void)
{
	shutdown_storage();
	halt_with_status(HALT_INIT_FAILED);
}

static void load_cmdline(struct cmdline *c)
{
	static char text[CMDLINE_SIZE];
	int r = file_read("/proc/cmdline", text, sizeof(text));

	if (r >= 0)
		r = cmdline_parse(c, text, (size_t)r);
	if (r < 0) {
		say("cannot read the kernel command line: %s", strerror(-r));
		give_up();
	}
}

/* Copies the words after "--"; they fit, because they come from a line of the same size. */
static void copy_words(const struct cmdline *c, struct command *cmd)
{
	char *next = cmd->text;
	size_t nr = 0;

	for (const char *word; (word = cmdline_word(c, nr)); nr++) {
		cmd->argv[nr] = next;
		next = stpcpy(next, word) + 1;
	}
	cmd->argv[nr] = NULL;
}

/* Fills in what to run: a shell command, else the words after "--", else a login shell. */
static void choose_command(const struct cmdline *c, struct command *cmd)
{
	static char shell[] = SHELL, option_command[] = "-c", option_login[] = "-l";
	int r = cmdline_command(c, cmd->text, sizeof(cmd->text));

	if (r < 0) {
		say("volt.cmd64 or volt.cmd is malformed: %s", strerror(-r));
		give_up();
	}
	if (r == 0 && cmdline_word(c, 0)) {
		copy_words(c, cmd);
		return;
	}
	cmd->is_shell = r == 0;
	cmd->argv[0] = shell;
	cmd->argv[1] = cmd->is_shell ? option_login : option_command;
	cmd->argv[2] = cmd->is_shell ? NULL : cmd->text;
	if (cmd->is_shell && access(SHELL, X_OK) < 0) {
		say("nothing to run: no command was given and there is no %s", SHELL);
		give_up();
	}
}

/* Mounts what tells about the guest, and reads it. */
static void look_around(struct cmdline *c)
{
	bool is_first = mounts_first();

	if (!console_is_open()) {
		mounts_kernel(); /* the console is in /dev */
		console_open();
	}
	load_cmdline(c);
	say_set_debug(cmdline_has(c, "volt.debug"));
	if (is_first && cmdline_has(c, "volt.hello"))
		say("up");
	mounts_kernel();
}

/* The part of an initramfs. Returns if this process stays PID 1. */
static void enter_root(const struct cmdline *c, char *argv[])
{
	int r;

	modules_load(MODULES_DIR, c);
	r = root_enter(c);
	if (r > 0)
		r = root_start_init(c, argv);
	if (r < 0)
		give_up();
}

static void prepare_guest(const struct cmdline *c)
{
	if (!cmdline_beats(c, "ro", "rw"))
		mounts_root_writable();
	mounts_user();
	host_set_name(cmdline_get(c, "volt.hostname"));
	host_loopback_up();
}

static _Noreturn void run(const struct command *cmd)
{
	int status = 0;
	enum run_end end;
	pid_t pid;

	run_prepare();
	pid = run_start(cmd->argv, console_take());
	if (pid < 0) {
		say("cannot start a process: %s", strerror(-pid));
		give_up();
	}
	end = run_wait(pid, &status);
	shutdown_processes(cmd->is_shell && end != RUN_EXITED ? pid : 0);
	shutdown_storage();
	if (end == RUN_REBOOT)
		halt_reboot();
	if (end == RUN_POWER_OFF || cmd->is_shell)
		halt_power_off();
	say_debug("exit status %d", status);
	halt_with_status(status);
}

int main(int argc, char *argv[])
{
	static struct cmdline cmdline;
	static struct command command;

	(void)argc;
	if (getpid() != 1) {
		say("this is an init: it runs as process 1 of a guest only");
		return 1;
	}
	umask(022);
	halt_prepare();
	look_around(&cmdline);
	if (root_is_initramfs())
		enter_root(&cmdline, argv);
	prepare_guest(&cmdline);
	choose_command(&cmdline, &command);
	run(&command);
}
