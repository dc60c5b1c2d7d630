/** The shared schemas of the served document, and the shapes that all routes' schemas have in common. */
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import type { TSchema } from 'typebox'
import { LIMITS } from '../base/limits.ts'
import { ClusterViewSchema, HealthSchema, NodeListSchema, NodeViewSchema } from '../base/wire/cluster.ts'
import { CountSchema, DurationSchema, closed, reference } from '../base/wire/common.ts'
import {
  AlarmListSchema,
  AlarmSchema,
  ContributionSchema,
  EtaSchema,
  GroupViewSchema,
  PredictedSchema,
  SuggestionListSchema,
  SuggestionSchema,
  WhySchema
} from '../base/wire/forecast.ts'
import {
  HistoryEndSchema,
  HistoryTaskSchema,
  MAX_EXPORT_TASKS,
  DEFAULT_EXPORT_TASKS
} from '../base/wire/history.ts'
import { LOG_POSITION_PATTERN, LogChunkSchema, LogPageSchema } from '../base/wire/logs.ts'
import {
  CompareRequestSchema,
  ModelCalibrationSchema,
  ModelListSchema,
  ModelModeChangeSchema,
  ModelStatusSchema,
  ModelViewSchema,
  PolicyChangeSchema,
  PolicyComparisonSchema,
  PolicyViewSchema
} from '../base/wire/optimizer.ts'
import { PROBLEM_MEDIA_TYPE, ProblemSchema } from '../base/wire/problem.ts'
import {
  CancelReplySchema,
  TaskErrorSchema,
  TaskPageSchema,
  TaskResultReplySchema,
  TaskStatusReplySchema,
  TaskSummarySchema,
  TaskViewSchema
} from '../base/wire/task-reply.ts'
import { SubmitReplySchema, TaskRequestSchema } from '../base/wire/task-request.ts'

const SHARED: readonly TSchema[] = [
  AlarmListSchema,
  AlarmSchema,
  CancelReplySchema,
  ClusterViewSchema,
  CompareRequestSchema,
  ContributionSchema,
  EtaSchema,
  GroupViewSchema,
  HealthSchema,
  HistoryEndSchema,
  HistoryTaskSchema,
  LogChunkSchema,
  LogPageSchema,
  ModelCalibrationSchema,
  ModelListSchema,
  ModelModeChangeSchema,
  ModelStatusSchema,
  ModelViewSchema,
  NodeListSchema,
  NodeViewSchema,
  PolicyChangeSchema,
  PolicyComparisonSchema,
  PolicyViewSchema,
  PredictedSchema,
  ProblemSchema,
  SubmitReplySchema,
  SuggestionListSchema,
  SuggestionSchema,
  TaskErrorSchema,
  TaskPageSchema,
  TaskRequestSchema,
  TaskResultReplySchema,
  TaskStatusReplySchema,
  TaskSummarySchema,
  TaskViewSchema,
  WhySchema
]

/** Registers the shared schemas, which others name by their `$id`. */
export function addSharedSchemas(app: FastifyInstance): void {
  for (const schema of SHARED) app.addSchema(schema)
}

const problem = {
  description: 'an error',
  content: { [PROBLEM_MEDIA_TYPE]: { schema: reference(ProblemSchema) } }
}

/** The `response` schemas of a route that answers `status` with `schema`, and failures with a problem. */
export function replies(
  status: number,
  description: string,
  schema: TSchema & { $id?: string }
): Readonly<Record<string, unknown>> {
  return {
    [status]: { description, content: { 'application/json': { schema: reference(schema) } } },
    '4xx': problem,
    '5xx': problem
  }
}

/** The `response` schemas of a route that streams text of a type. */
export function streamReplies(description: string, mediaType: string): Readonly<Record<string, unknown>> {
  return {
    200: { description, content: { [mediaType]: { schema: { type: 'string' } } } },
    '4xx': problem,
    '5xx': problem
  }
}

/** The path parameter of routes about one task. A malformed id is answered as an unknown one. */
export const taskParams = closed({ id: Type.String({ description: 'a task id such as t-42' }) })
export interface TaskParams {
  readonly id: string
}

const readFields = {
  index: Type.Optional(
    Type.Integer({ ...CountSchema, description: 'answer only once the node has applied this index' })
  ),
  consistency: Type.Optional(
    Type.Enum(['linearizable', 'stale'], {
      type: 'string',
      description: 'linearizable (default) | stale: answer from what the node has applied'
    })
  )
}

/** The query of reads. */
export const readQuery = closed(readFields)

const waitField = Type.Optional(
  Type.Union(DurationSchema.anyOf, {
    description:
      'wait so long for the task to end, then answer as it is: milliseconds, or text such as 30s; at most 30s'
  })
)

/** The query of reads about a task that may wait for its end. */
export const taskQuery = closed({ ...readFields, wait: waitField })

/** The query of a list of tasks. */
export const listQuery = closed({
  ...readFields,
  status: Type.Optional(Type.String({ description: 'one status, or several with commas between' })),
  name: Type.Optional(Type.String({ description: 'only tasks of this name' })),
  cursor: Type.Optional(Type.String({ description: '`next` of the page before' })),
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: LIMITS.pageTasks,
      description: `tasks on a page, from 1 to ${LIMITS.pageTasks}; 100 by default`
    })
  )
})

/** The query of suggestions. */
export const suggestionQuery = closed({
  ...readFields,
  name: Type.Optional(Type.String({ description: 'only tasks of this name' }))
})

/** The query of an export of history. */
export const exportQuery = closed({
  ...readFields,
  cursor: Type.Optional(Type.String({ description: '`next` of the export before' })),
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: MAX_EXPORT_TASKS,
      description: `tasks in one export, from 1 to ${MAX_EXPORT_TASKS}; ${DEFAULT_EXPORT_TASKS} by default`
    })
  )
})

/** The query of a task's output. */
export const logQuery = closed({
  ...readFields,
  after: Type.Optional(
    Type.String({
      pattern: LOG_POSITION_PATTERN,
      description: 'a position "<attempt>-<offset>": output from there on'
    })
  ),
  follow: Type.Optional(
    Type.Boolean({ description: 'true or false; true goes on until the task has ended' })
  ),
  format: Type.Optional(
    Type.Enum(['json', 'text', 'sse'], {
      type: 'string',
      description: 'json | text | sse; else by the Accept header'
    })
  )
})
