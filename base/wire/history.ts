/**
 * The history of a cluster as lines of JSON, for the policy lab and for other tools: one line for each task that ended,
 * newest first, then one line that says where to go on.
 */
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
  closed
} from './common.ts'

/** Lines of one export without `limit`. */
export const DEFAULT_EXPORT_TASKS = 20_000
/** The most lines of one export; the cursor leads on. */
export const MAX_EXPORT_TASKS = 200_000

export const HISTORY_MEDIA_TYPE = 'application/x-ndjson'

export const HistoryTaskSchema = closed(
  {
    id: Type.String(),
    group: Type.String(),
    name: Type.String(),
    tenant: Type.String(),
    executor: Type.String(),
    handler: Type.Optional(Type.String()),
    priority: Type.Integer(),
    resources: ResourcesSchema,
    nodeSelector: LabelsSchema,
    needs: Type.Array(Type.String()),
    inputBytes: CountSchema,
    limitMs: Type.Integer({ minimum: 0, description: '`timeouts.startToCloseMs`; 0 for none' }),
    idempotent: Type.Boolean(),
    status: TaskStatusSchema,
    attempts: CountSchema,
    submittedAt: TimestampSchema,
    notBefore: Type.Optional(TimestampSchema),
    readyAt: Type.Optional(TimestampSchema),
    startedAt: Type.Optional(TimestampSchema),
    finishedAt: TimestampSchema,
    deadlineAt: Type.Optional(TimestampSchema),
    node: Type.Optional(NodeIdSchema),
    runMs: Type.Integer({
      ...MillisecondsSchema,
      description: 'milliseconds ≥ 0 that the last attempt ran; 0 when none did'
    }),
    peakMemoryBytes: CountSchema
  },
  { $id: 'HistoryTask', description: 'A task that has ended, without what it ran and what came of it.' }
)
export type HistoryTask = Static<typeof HistoryTaskSchema>

export const HistoryEndSchema = closed(
  {
    end: Type.Literal(true),
    tasks: Type.Integer({ minimum: 0, description: 'lines before this one' }),
    next: Type.Optional(
      Type.String({ description: 'the cursor of what follows; absent when there is no more' })
    )
  },
  { $id: 'HistoryEnd', description: 'The last line. An export that was cut off has none.' }
)
export type HistoryEnd = Static<typeof HistoryEndSchema>
