/** Tasks after their submission: in full, status, result, list and cancel; with the seed's `/tasks/{id}/status`. */
import type { FastifyInstance, FastifyReply } from 'fastify'
import { AppError } from '../../base/errors.ts'
import { formatTaskId, parseTaskId } from '../../base/ids.ts'
import { LIMITS } from '../../base/limits.ts'
import { TASK_STATUSES, parseDuration } from '../../base/wire/common.ts'
import {
  CancelReplySchema,
  TaskPageSchema,
  TaskResultReplySchema,
  TaskStatusReplySchema,
  TaskViewSchema
} from '../../base/wire/task-reply.ts'
import type {
  CancelReply,
  TaskPage,
  TaskResultReply,
  TaskStatusReply,
  TaskView
} from '../../base/wire/task-reply.ts'
import type { TaskStatus } from '../../scheduler/types.ts'
import { etasOf, knownRecord, outlookOf, settle, taskIdOf } from '../context.ts'
import type { ReadQuery, RouteContext } from '../context.ts'
import type { KnownTaskRecord } from '../ports.ts'
import { listQuery, replies, taskParams, taskQuery } from '../schemas.ts'
import type { TaskParams } from '../schemas.ts'
import { invalid, nearestName, shown } from '../validation.ts'
import { resultReplyOf, statusOf, statusReplyOf, summaryOf, viewOf } from '../views.ts'

interface TaskQuery extends ReadQuery {
  readonly wait?: number | string
}

interface TaskRoute {
  Params: TaskParams
  Querystring: TaskQuery
}

const DEFAULT_PAGE = 100

/** Registers the routes. */
export function taskRoutes(app: FastifyInstance, context: RouteContext): void {
  const { port } = context
  statusRoutes(app, context)
  app.get<TaskRoute>(
    '/v1/tasks/:id',
    {
      schema: {
        tags: ['tasks'],
        operationId: 'getTask',
        summary: 'A task in full',
        params: taskParams,
        querystring: taskQuery,
        response: replies(200, 'the task', TaskViewSchema)
      }
    },
    async (request, reply): Promise<TaskView> => {
      const record = await readTask(context, request.params.id, request.query, reply)
      const contents = await port.contents(record)
      if (record.kind === 'ended') return viewOf(record, contents)
      return viewOf(record, contents, await outlookOf(context, record.task, request.id))
    }
  )
  app.get<TaskRoute>(
    '/v1/tasks/:id/result',
    {
      schema: {
        tags: ['tasks'],
        operationId: 'getResult',
        summary: 'What came of a task that has ended',
        params: taskParams,
        querystring: taskQuery,
        response: replies(200, 'its status with its result or error', TaskResultReplySchema)
      }
    },
    async (request, reply): Promise<TaskResultReply> => {
      const record = await readTask(context, request.params.id, request.query, reply)
      if (record.kind === 'ended') return resultReplyOf(record.row, await port.contents(record))
      const status = statusOf(record)
      throw new AppError(
        'NOT_TERMINAL',
        `task ${request.params.id}: got status ${status}, expected it to have ended`,
        {
          details: { got: status, expected: 'succeeded | failed | cancelled | skipped' }
        }
      )
    }
  )
  listRoute(app, context)
  cancelRoutes(app, context)
}

function statusRoutes(app: FastifyInstance, context: RouteContext): void {
  for (const [url, operationId] of [
    ['/v1/tasks/:id/status', 'getStatus'],
    ['/tasks/:id/status', 'getStatusSeed']
  ] as const) {
    app.get<TaskRoute>(
      url,
      {
        schema: {
          tags: ['tasks'],
          operationId,
          summary: 'How far a task is',
          params: taskParams,
          querystring: taskQuery,
          response: replies(200, 'its status', TaskStatusReplySchema)
        }
      },
      async (request, reply): Promise<TaskStatusReply> => {
        const record = await readTask(context, request.params.id, request.query, reply)
        const [eta] = await etasOf(context, [record], request.id)
        return statusReplyOf(record, eta)
      }
    )
  }
}

async function readTask(
  { port, streams }: RouteContext,
  text: string,
  query: TaskQuery,
  reply: FastifyReply
): Promise<KnownTaskRecord> {
  const id = taskIdOf(text)
  const waitMs = waitOf(query.wait)
  await settle(port, query)
  const record = knownRecord(await port.task(id), text)
  if (waitMs === 0 || record.kind === 'ended') return record
  return knownRecord(await port.waitTask(id, waitMs, streams.signalFor(reply)), text)
}

function waitOf(wait: number | string | undefined): number {
  if (wait === undefined) return 0
  const length = parseDuration(wait)
  if (length !== undefined && length <= LIMITS.readWaitMs) return length
  const expected = `at most ${LIMITS.readWaitMs} ms`
  throw new AppError('LIMIT_EXCEEDED', `wait: got ${shown(wait)}, expected ${expected}`, {
    details: { field: 'wait', got: wait, expected }
  })
}

interface ListQuery extends ReadQuery {
  readonly status?: string
  readonly name?: string
  readonly cursor?: string
  readonly limit?: number
}

function listRoute(app: FastifyInstance, context: RouteContext): void {
  const { port } = context
  app.get<{ Querystring: ListQuery }>(
    '/v1/tasks',
    {
      schema: {
        tags: ['tasks'],
        operationId: 'listTasks',
        summary: 'Tasks, newest first',
        description:
          'A page may be short or even empty while `next` is present: follow it until it is absent.',
        querystring: listQuery,
        response: replies(200, 'a page of tasks in short', TaskPageSchema)
      }
    },
    async ({ query, id }): Promise<TaskPage> => {
      const before = query.cursor === undefined ? undefined : parseTaskId(query.cursor)
      if (query.cursor !== undefined && before === undefined) {
        throw invalid('cursor', query.cursor, '`next` of the page before')
      }
      const statuses = statusesOf(query.status)
      await settle(port, query)
      const page = await port.tasks({
        statuses,
        name: query.name,
        before,
        limit: query.limit ?? DEFAULT_PAGE
      })
      const etas = await etasOf(context, page.records, id)
      const tasks = page.records.map((record, index) => summaryOf(record, etas[index]))
      return page.next === undefined ? { tasks } : { tasks, next: formatTaskId(page.next) }
    }
  )
}

function statusesOf(text: string | undefined): readonly TaskStatus[] {
  if (text === undefined) return []
  return text.split(',').map((part) => {
    const known = TASK_STATUSES.find((status) => status === part)
    if (known !== undefined) return known
    throw invalid('status', part, TASK_STATUSES.join(' | '), nearestName(part, TASK_STATUSES))
  })
}

function cancelRoutes(app: FastifyInstance, { port }: RouteContext): void {
  const schema = {
    tags: ['tasks'],
    summary: 'Cancel a task',
    description:
      'A task that is not placed is cancelled at once. One that may be running is told to stop, killed after its ' +
      '`killGraceMs`, and is `cancelled` once nothing of it runs.',
    params: taskParams,
    response: replies(202, 'committed', CancelReplySchema)
  }
  const cancel = async (text: string, reply: FastifyReply): Promise<CancelReply> => {
    const id = taskIdOf(text)
    const status = await port.cancel(id)
    reply.code(202)
    return { id: formatTaskId(id), status }
  }
  app.delete<{ Params: TaskParams }>(
    '/v1/tasks/:id',
    { schema: { ...schema, operationId: 'deleteTask' } },
    (request, reply) => cancel(request.params.id, reply)
  )
  app.post<{ Params: TaskParams }>(
    '/v1/tasks/:id/cancel',
    { schema: { ...schema, operationId: 'cancelTask' } },
    (request, reply) => cancel(request.params.id, reply)
  )
}
