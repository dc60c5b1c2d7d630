/** What is expected: alarms, suggestions, why a task is where it is, and how far tasks submitted together are. */
import type { FastifyInstance } from 'fastify'
import {
  AlarmListSchema,
  GroupViewSchema,
  SuggestionListSchema,
  WhySchema
} from '../../base/wire/forecast.ts'
import type { AlarmList, GroupView, SuggestionList, Why } from '../../base/wire/forecast.ts'
import { groupViewOf, groupMembers } from '../groups.ts'
import { knownRecord, outlookOf, settle, taskIdOf } from '../context.ts'
import type { ReadQuery, RouteContext } from '../context.ts'
import type { PredictionDetail } from '../ports.ts'
import { readQuery, replies, suggestionQuery, taskParams } from '../schemas.ts'
import type { TaskParams } from '../schemas.ts'
import type { Task } from '../../scheduler/types.ts'
import { whyEnded, whyLive } from '../why.ts'

interface TaskRead {
  Params: TaskParams
  Querystring: ReadQuery
}

/** Registers the routes. */
export function adviceRoutes(app: FastifyInstance, context: RouteContext): void {
  whyRoute(app, context)
  groupRoute(app, context)
  listRoutes(app, context)
}

function listRoutes(app: FastifyInstance, { port }: RouteContext): void {
  app.get<{ Querystring: ReadQuery }>(
    '/v1/alarms',
    {
      schema: {
        tags: ['advice'],
        operationId: 'listAlarms',
        summary: 'Deadlines at risk, stuck attempts, and trouble of the optimizer',
        querystring: readQuery,
        response: replies(200, 'the alarms that stand now, the most pressing first', AlarmListSchema)
      }
    },
    async ({ query }): Promise<AlarmList> => {
      await settle(port, query)
      return { alarms: [...(await port.optimizer.alarms())] }
    }
  )
  app.get<{ Querystring: ReadQuery & { readonly name?: string } }>(
    '/v1/suggestions',
    {
      schema: {
        tags: ['advice'],
        operationId: 'listSuggestions',
        summary: 'What tasks should ask for, by their history',
        description:
          'Memory: the 95th percentile of peaks plus a fifth. Timeout: three times the 99th percentile of run times. From the ' +
          'last 256 attempts of each name and tenant that succeeded, once there are 20.',
        querystring: suggestionQuery,
        response: replies(200, 'suggestions, those with the most samples first', SuggestionListSchema)
      }
    },
    async ({ query }): Promise<SuggestionList> => {
      await settle(port, query)
      const { optimizer } = port
      return {
        suggestions: [...optimizer.suggestions(query.name)],
        ...(optimizer.catchingUp ? { catchingUp: true } : {})
      }
    }
  )
}

function whyRoute(app: FastifyInstance, context: RouteContext): void {
  const { port } = context
  app.get<TaskRead>(
    '/v1/tasks/:id/why',
    {
      schema: {
        tags: ['advice'],
        operationId: 'explainTask',
        summary: 'Why a task is where it is, and what is expected of it',
        description:
          '`contributions` say what of the task its prediction comes from, as factors of the run time.',
        params: taskParams,
        querystring: readQuery,
        response: replies(200, 'the explanation', WhySchema)
      }
    },
    async ({ params, query, id: requestId }): Promise<Why> => {
      const id = taskIdOf(params.id)
      await settle(port, query)
      const record = knownRecord(await port.task(id), params.id)
      const { optimizer } = port
      const policy = optimizer.policy().current
      if (record.kind === 'ended') return whyEnded(record.row, policy)
      const outlook = await outlookOf(context, record.task, requestId)
      const explanation = port.explain(id)
      if (explanation === undefined) {
        // It ended while the outlook was made.
        const now = knownRecord(await port.task(id), params.id)
        if (now.kind === 'ended') return whyEnded(now.row, policy)
      }
      const detail = detailOf(context, record.task, requestId)
      return whyLive(record.task, explanation, outlook, detail, policy)
    }
  )
}

/** Like an outlook, it is left out when it fails: why a task waits is worth knowing without. */
function detailOf({ port, log }: RouteContext, task: Task, requestId: string): PredictionDetail | undefined {
  try {
    return port.optimizer.explain(task)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    log.error({ requestId, error: { message } }, 'a task was explained without its prediction')
    return undefined
  }
}

function groupRoute(app: FastifyInstance, { port }: RouteContext): void {
  app.get<TaskRead>(
    '/v1/groups/:id',
    {
      schema: {
        tags: ['advice'],
        operationId: 'getGroup',
        summary: 'How far the tasks of one submission are, and when they will be done',
        description: 'The id of any of its tasks will do.',
        params: taskParams,
        querystring: readQuery,
        response: replies(200, 'the group', GroupViewSchema)
      }
    },
    async ({ params, query }): Promise<GroupView> => {
      const id = taskIdOf(params.id)
      await settle(port, query)
      const record = knownRecord(await port.task(id), params.id)
      const { group } = record.kind === 'live' ? record.task : record.row
      const { optimizer } = port
      const [members, outlook] = await Promise.all([groupMembers(port, group), optimizer.groupOutlook(group)])
      return groupViewOf(group, members, outlook, (task) => optimizer.expectedMs(task))
    }
  )
}
