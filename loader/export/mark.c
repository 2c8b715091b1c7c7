// SPDX-License-Identifier: Apache-2.0
/*
 * mark.c - how far each sink is, and going on from where an earlier process was; see struct
 * export_mark.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/export/sink_int.h"

/* All that was given before @no is in the file, or counted as lost: its size goes with that. */
void sink_mark(struct sink *s, int fd, uint64_t no)
{
	struct stat st;
	bool file = fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode);

	pthread_mutex_lock(&s->text_lock);
	s->mark.no = no;
	s->mark.dev = file ? st.st_dev : 0;
	s->mark.ino = file ? st.st_ino : 0;
	s->mark.bytes = file ? (uint64_t)st.st_size : 0;
	pthread_mutex_unlock(&s->text_lock);
}

/* The mark of an earlier process for the sink of that name. NULL: there is none. */
static const struct export_mark *resume_of(const struct sink *s)
{
	const struct export_env *env = &s->x->env;

	for (unsigned int i = 0; i < env->n_resume; i++)
		if (!strncmp(env->resume[i].name, s->cfg->name, sizeof(env->resume[i].name)))
			return &env->resume[i];
	return NULL;
}

void sink_resume(struct sink *s)
{
	const struct export_mark *m = resume_of(s);

	memcpy(s->mark.name, s->cfg->name, sizeof(s->mark.name));
	/* what one process had not told when another took over is nothing to a sink that is new */
	s->skip_before = m ? m->no : s->x->env.resume_end;
	s->mark.no = s->x->env.resume_start;
}

void sink_resume_file(struct sink *s, int fd)
{
	const struct export_mark *m = resume_of(s);
	struct stat st;

	if (m && m->ino && !fstat(fd, &st) && st.st_dev == m->dev && st.st_ino == m->ino &&
	    (uint64_t)st.st_size > m->bytes && ftruncate(fd, (off_t)m->bytes))
		sink_error(s, "truncate", errno);
}

void exports_mark(const struct exports *x, unsigned int i, struct export_mark *ret)
{
	struct sink *s = (struct sink *)&x->sinks[i]; /* for its lock alone */
	uint64_t upto = atomic_load(&s->q.upto);
	bool idle = !s->chunk && !queue_waiting(&s->q);

	pthread_mutex_lock(&s->text_lock);
	*ret = s->mark;
	pthread_mutex_unlock(&s->text_lock);
	if (!ret->ino && upto > ret->no)
		ret->no = upto;
	if (idle)
		ret->no = x->calls;
}
