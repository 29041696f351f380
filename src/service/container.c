/* SPDX-License-Identifier: PostgreSQL */
/* Hooks and password commands may leave processes behind. In a container they come to process 1, and stay as zombies, until no
   process can be made any more, unless that waits for them. The daemon waits for its own children only, each by its number. */
#include "service/container.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void first_process(pid_t child, const sigset_t *all)
{
	for (;;) {
		int status, number;
		pid_t pid;

		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			if (pid == child)
				_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
		number = sigwaitinfo(all, NULL);
		if (number > 0 && number != SIGCHLD)
			kill(child, number);
	}
}

void container_begin(void)
{
	sigset_t all, before;
	pid_t child;

	if (getpid() != 1 || getenv("LISTEN_PID") != NULL || getenv("WATCHDOG_PID") != NULL)
		return;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	child = fork();
	if (child > 0)
		first_process(child, &all);
	sigprocmask(SIG_SETMASK, &before, NULL);
}
