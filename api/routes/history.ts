/** The cluster's history as lines of JSON: what the policy lab replays, and whoever else wants to count. */
import type { FastifyInstance } from 'fastify'
import { Readable } from 'node:stream'
import { formatTaskId, parseTaskId } from '../../base/ids.ts'
import type { TaskId } from '../../base/ids.ts'
import { LIMITS } from '../../base/limits.ts'
import { DEFAULT_EXPORT_TASKS, HISTORY_MEDIA_TYPE } from '../../base/wire/history.ts'
import type { HistoryEnd, HistoryTask } from '../../base/wire/history.ts'
import { settle } from '../context.ts'
import type { ReadQuery, RouteContext } from '../context.ts'
import type { NodePort } from '../ports.ts'
import { exportQuery, streamReplies } from '../schemas.ts'
import { invalid } from '../validation.ts'
import { historyTaskOf } from '../views.ts'

interface ExportQuery extends ReadQuery {
  readonly cursor?: string
  readonly limit?: number
}

const ENDED = ['succeeded', 'failed', 'cancelled', 'skipped'] as const

/** Registers the route. */
export function historyRoutes(app: FastifyInstance, { port, log }: RouteContext): void {
  app.get<{ Querystring: ExportQuery }>(
    '/v1/history/export',
    {
      schema: {
        tags: ['cluster'],
        operationId: 'exportHistory',
        summary: 'Tasks that have ended, newest first, as lines of JSON',
        description:
          'Each line is a task (`HistoryTask`); the last is `{"end":true,"tasks":…,"next":…}`: an export without it was cut ' +
          'off. `next` is the cursor of what follows. What tasks ran and what came of them is not part of it.',
        querystring: exportQuery,
        response: streamReplies('the lines', HISTORY_MEDIA_TYPE)
      }
    },
    async ({ query, id }, reply): Promise<Readable> => {
      const before = query.cursor === undefined ? undefined : parseTaskId(query.cursor)
      if (query.cursor !== undefined && before === undefined) {
        throw invalid('cursor', query.cursor, '`next` of an export')
      }
      await settle(port, query)
      reply.type(HISTORY_MEDIA_TYPE)
      const lines = Readable.from(linesOf(port, before, query.limit ?? DEFAULT_EXPORT_TASKS))
      lines.once('error', (error) => {
        // The status line is long gone: that the last line is missing tells the reader.
        log.error({ requestId: id, error: { message: error.message } }, 'an export of history broke off')
      })
      return lines
    }
  )
}

/** A page of the store at a time, as its reader takes them. */
async function* linesOf(
  port: NodePort,
  from: TaskId | undefined,
  limit: number
): AsyncGenerator<string, void> {
  let before = from
  let count = 0
  let more = true
  while (more && count < limit) {
    const page = await port.tasks({
      statuses: ENDED,
      name: undefined,
      before,
      limit: Math.min(limit - count, LIMITS.pageTasks)
    })
    let text = ''
    for (const record of page.records) {
      if (record.kind !== 'ended') continue
      text += line(historyTaskOf(record.row))
      count++
    }
    if (text !== '') yield text
    before = page.next
    more = before !== undefined
  }
  yield line({ end: true, tasks: count, ...(before === undefined ? {} : { next: formatTaskId(before) }) })
}

function line(value: HistoryTask | HistoryEnd): string {
  return `${JSON.stringify(value)}\n`
}
