/** `GET /v1/tasks/{id}/logs`: a page of JSON, plain text, or server-sent events. */
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { toAppError } from '../../base/errors.ts'
import type { TaskId } from '../../base/ids.ts'
import { formatLogPosition, parseLogPosition } from '../../base/wire/logs.ts'
import { LogPageSchema } from '../../base/wire/logs.ts'
import type { LogPage, LogPosition } from '../../base/wire/logs.ts'
import { knownRecord, settle, taskIdOf } from '../context.ts'
import type { ReadQuery, RouteContext } from '../context.ts'
import { collectPage, event, eventsOf, textOf } from '../log-stream.ts'
import { problemOf } from '../problems.ts'
import { logQuery, replies, taskParams } from '../schemas.ts'
import type { TaskParams } from '../schemas.ts'
import { invalid } from '../validation.ts'
import { statusOf } from '../views.ts'

interface LogQuery extends ReadQuery {
  readonly after?: string
  readonly follow?: boolean
  readonly format?: 'json' | 'text' | 'sse'
}

interface LogRoute {
  Params: TaskParams
  Querystring: LogQuery
}

const START: LogPosition = { attempt: 1, offset: 0 }

/** Registers the route. */
export function logRoutes(app: FastifyInstance, context: RouteContext): void {
  const json = replies(200, 'output as text, as events, or a page of it', LogPageSchema)
  const ok = json['200'] as { content: object }
  const text = { schema: { type: 'string' } }
  app.get<LogRoute>(
    '/v1/tasks/:id/logs',
    {
      schema: {
        tags: ['tasks'],
        operationId: 'getLogs',
        summary: 'The output of a task',
        description:
          'JSON by default; `text/plain` or `text/event-stream` by `Accept` or `format`. `follow=true` streams until ' +
          'the task has ended; events resume after `Last-Event-ID`.',
        params: taskParams,
        querystring: logQuery,
        response: {
          ...json,
          200: { ...ok, content: { ...ok.content, 'text/plain': text, 'text/event-stream': text } }
        }
      }
    },
    async (request, reply) => answer(context, request, reply)
  )
}

async function answer(
  context: RouteContext,
  request: FastifyRequest<LogRoute>,
  reply: FastifyReply
): Promise<LogPage | FastifyReply> {
  const { port, streams, heartbeatMs } = context
  const { params, query } = request
  const id = taskIdOf(params.id)
  const after = startOf(request)
  const format = formatOf(query, request.headers.accept ?? '')
  await settle(port, query)
  const record = knownRecord(await port.task(id), params.id)
  const follow = query.follow === true && format !== 'json'
  const chunks = port.logs(id, { after, follow, signal: streams.signalFor(reply) })
  if (format === 'json') {
    const page = await collectPage(chunks, after)
    return { id: params.id, status: statusOf(record), ...page, next: formatLogPosition(page.next) }
  }
  reply.header('cache-control', 'no-store').header('x-accel-buffering', 'no')
  if (format === 'text') {
    return reply.type('text/plain; charset=utf-8').send(Readable.from(textOf(chunks), { objectMode: false }))
  }
  const events = completed(context, id, params.id, eventsOf(chunks, heartbeatMs), request.id)
  return reply.type('text/event-stream').send(Readable.from(events, { objectMode: false }))
}

/** The events, then `end` when the task has ended, or `problem` when reading failed after the reply had begun. */
async function* completed(
  { port, log }: RouteContext,
  id: TaskId,
  text: string,
  events: AsyncIterable<string>,
  requestId: string
): AsyncGenerator<string> {
  try {
    yield* events
    const record = knownRecord(await port.task(id), text)
    if (record.kind === 'ended') yield event('end', { id: text, status: record.row.status })
  } catch (thrown) {
    const error = toAppError(thrown)
    if (error.code === 'INTERNAL') log.error({ requestId, error: thrown }, 'log stream failed')
    yield event('problem', problemOf(error, requestId))
  }
}

function startOf(request: FastifyRequest<LogRoute>): LogPosition {
  const last = request.headers['last-event-id']
  const [field, text] = typeof last === 'string' ? ['last-event-id', last] : ['after', request.query.after]
  if (text === undefined) return START
  const position = parseLogPosition(text)
  if (position === undefined)
    throw invalid(field, text, 'a position such as "1-2048": attempt and byte offset')
  return position
}

function formatOf(query: LogQuery, accept: string): 'json' | 'text' | 'sse' {
  if (query.format !== undefined)
    return query.format === 'json' && query.follow === true ? 'sse' : query.format
  if (accept.includes('text/event-stream')) return 'sse'
  if (accept.includes('text/plain')) return 'text'
  return query.follow === true ? 'sse' : 'json'
}
