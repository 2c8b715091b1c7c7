// SPDX-License-Identifier: Apache-2.0
/*
 * thread.c - the sink thread: one loop over all sinks, asleep in poll() when none can go on.
 */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "loader/export/sink_int.h"

/* Return: true when the sink has nothing left to do; only asked when stopping. */
static bool finish(struct exports *x, struct sink *s, uint64_t now)
{
	s->stopping = true;
	if (!s->finished)
		s->finished = s->ops->idle(s);
	if (!s->finished && now >= atomic_load(&x->deadline_ns)) {
		s->ops->abandon(s);
		s->finished = true;
	}
	return s->finished;
}

static int timeout_ms(uint64_t wake, uint64_t now)
{
	if (!wake)
		return -1;
	if (wake <= now)
		return 0;
	/* a long sleep is cut: the next look sets it anew */
	return wake - now > 60 * EXPORT_NS_PER_S ? 60000 : (int)((wake - now) / 1000000) + 1;
}

/* @stopping: as the caller knows it. */
static void sleep_until_work(struct exports *x, struct pollfd *p, unsigned int n, uint64_t wake,
			     bool stopping)
{
	uint64_t count;

	atomic_store(&x->asleep, true);
	/* who hands over from here on sees that we sleep; who did before is seen here */
	for (unsigned int i = 0; i < x->n; i++)
		if (x->sinks[i].drained && queue_waiting(&x->sinks[i].q) > x->sinks[i].held)
			wake = 1;
	if (atomic_load(&x->reopen) || atomic_load(&x->stopping) != stopping)
		wake = 1;
	if (poll(p, n, timeout_ms(wake, export_mono_ns())) < 0 && errno != EINTR)
		wake = 1; /* ENOMEM: look again */
	atomic_store(&x->asleep, false);
	if (p[0].revents && read(x->event_fd, &count, sizeof(count)) < 0)
		return; /* it was read before */
}

void *export_thread(void *arg)
{
	struct exports *x = arg;
	sigset_t pipe;

	/* OpenSSL writes without MSG_NOSIGNAL */
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, NULL);
	for (;;) {
		struct pollfd p[1 + EXPORTS_MAX] = {{.fd = x->event_fd, .events = POLLIN}};
		bool stopping = atomic_load(&x->stopping), done = stopping;
		uint64_t wake = stopping ? atomic_load(&x->deadline_ns) : 0;
		uint64_t now = export_mono_ns();
		bool reopen = atomic_exchange(&x->reopen, false);
		unsigned int n = 1;

		for (unsigned int i = 0; i < x->n; i++) {
			struct sink *s = &x->sinks[i];

			s->reopen |= reopen;
			if (s->finished)
				continue;
			s->ops->work(s, now);
			if (stopping && !finish(x, s, now))
				done = false;
			if (s->fd >= 0 && s->events)
				p[n++] = (struct pollfd){.fd = s->fd, .events = s->events};
			if (s->wake_ns && (!wake || s->wake_ns < wake))
				wake = s->wake_ns;
		}
		if (done)
			return NULL;
		sleep_until_work(x, p, n, wake, stopping);
	}
}
