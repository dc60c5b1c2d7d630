/** What the API says about tasks: in full, in short, their status, their result, and pages of them. */
import { Type } from 'typebox'
import type { Static } from 'typebox'
import {
  CountSchema,
  LabelsSchema,
  MillisecondsSchema,
  NodeIdSchema,
  ResourcesSchema,
  TaskStatusSchema,
  TimestampSchema,
  closed,
  reference
} from './common.ts'
import { AlarmSchema, EtaSchema, PredictedSchema } from './forecast.ts'

export const TaskErrorSchema = closed(
  {
    code: Type.String({
      description: 'stable: EXIT_CODE, TIMEOUT, NODE_LOST, MAYBE_RAN, … or the code of your own error'
    }),
    message: Type.String(),
    retryable: Type.Boolean()
  },
  { $id: 'TaskError', description: 'Why an attempt or a task failed.' }
)
export type WireTaskError = Static<typeof TaskErrorSchema>

/** Fields that every view of a task has. A time that has not come yet is absent. */
const summaryFields = {
  id: Type.String(),
  name: Type.String(),
  tenant: Type.String(),
  executor: Type.String(),
  handler: Type.Optional(Type.String()),
  status: TaskStatusSchema,
  group: Type.String({ description: 'the id of the first task of the same submission' }),
  priority: Type.Integer(),
  attempts: CountSchema,
  node: Type.Optional(NodeIdSchema),
  submittedAt: TimestampSchema,
  readyAt: Type.Optional(TimestampSchema),
  startedAt: Type.Optional(TimestampSchema),
  finishedAt: Type.Optional(TimestampSchema),
  runMs: Type.Optional(MillisecondsSchema),
  error: Type.Optional(reference(TaskErrorSchema)),
  eta: Type.Optional(reference(EtaSchema))
}

export const TaskSummarySchema = closed(summaryFields, {
  $id: 'TaskSummary',
  description: 'A task in short.'
})
export type TaskSummary = Static<typeof TaskSummarySchema>

const PlacementSchema = closed(
  {
    node: NodeIdSchema,
    incarnation: CountSchema,
    fencingToken: CountSchema,
    attempt: CountSchema,
    placedAt: TimestampSchema,
    startedAt: Type.Optional(TimestampSchema),
    stopReason: Type.Optional(Type.String())
  },
  {
    description: 'a live attempt; `copy` is a second one of an idempotent task, and the first success counts'
  }
)

export const TaskViewSchema = closed(
  {
    ...summaryFields,
    command: Type.Optional(Type.String()),
    env: Type.Optional(Type.Record(Type.String(), Type.String())),
    workingDirectory: Type.Optional(Type.String()),
    input: Type.Optional(Type.Unknown()),
    result: Type.Optional(Type.Unknown()),
    needs: Type.Array(closed({ id: Type.String(), as: Type.String() })),
    waitingOn: Type.Optional(CountSchema),
    resources: ResourcesSchema,
    nodeSelector: LabelsSchema,
    retry: closed({
      maxAttempts: CountSchema,
      baseDelayMs: MillisecondsSchema,
      maxDelayMs: MillisecondsSchema
    }),
    timeouts: closed({ scheduleToStartMs: MillisecondsSchema, startToCloseMs: MillisecondsSchema }),
    killGraceMs: MillisecondsSchema,
    delivery: Type.String(),
    idempotent: Type.Boolean(),
    onLeaseLoss: Type.String(),
    isolation: Type.String(),
    notBefore: Type.Optional(TimestampSchema),
    deadlineAt: Type.Optional(TimestampSchema),
    placement: Type.Optional(PlacementSchema),
    copy: Type.Optional(PlacementSchema),
    fencingToken: Type.Optional(CountSchema),
    peakMemoryBytes: Type.Optional(CountSchema),
    predicted: Type.Optional(reference(PredictedSchema)),
    alarms: Type.Optional(Type.Array(reference(AlarmSchema)))
  },
  { $id: 'Task', description: 'A task in full: what was asked for, how far it is, what came of it.' }
)
/** A task in full, as `GET /v1/tasks/{id}` answers. */
export type TaskView = Static<typeof TaskViewSchema>

export const TaskStatusReplySchema = closed(
  {
    id: Type.String(),
    name: Type.String(),
    status: TaskStatusSchema,
    terminal: Type.Boolean(),
    attempts: CountSchema,
    node: Type.Optional(NodeIdSchema),
    error: Type.Optional(reference(TaskErrorSchema)),
    eta: Type.Optional(reference(EtaSchema))
  },
  { $id: 'TaskStatus', description: 'How far a task is.' }
)
export type TaskStatusReply = Static<typeof TaskStatusReplySchema>

export const TaskResultReplySchema = closed(
  {
    id: Type.String(),
    status: TaskStatusSchema,
    result: Type.Optional(
      Type.Unknown({ description: 'absent unless the task succeeded and returned something' })
    ),
    error: Type.Optional(reference(TaskErrorSchema))
  },
  { $id: 'TaskResult', description: 'What came of a task that has ended.' }
)
export type TaskResultReply = Static<typeof TaskResultReplySchema>

export const TaskPageSchema = closed(
  {
    tasks: Type.Array(reference(TaskSummarySchema)),
    next: Type.Optional(
      Type.String({
        description: 'the cursor of the next page; absent on the last one. A page may be short or empty.'
      })
    )
  },
  { $id: 'TaskPage' }
)
export type TaskPage = Static<typeof TaskPageSchema>

export const CancelReplySchema = closed(
  { id: Type.String(), status: TaskStatusSchema },
  {
    $id: 'CancelReply',
    description: '`stopping` while an attempt is being stopped, `cancelled` once it is over.'
  }
)
export type CancelReply = Static<typeof CancelReplySchema>
