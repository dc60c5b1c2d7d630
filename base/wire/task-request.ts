/**
 * What a user submits: one task, or an array of them. Everything but `command` or `handler` may be left out; the
 * defaults stand in `TASK_DEFAULTS`. Unknown properties are refused, so a typo is an error and not a silent default.
 */
import { Type } from 'typebox'
import type { Static } from 'typebox'
import { LIMITS } from '../limits.ts'
import { minute, second } from '../units.ts'
import {
  DurationSchema,
  LabelsSchema,
  MomentInputSchema,
  ResourcesSchema,
  closed,
  nameSchema,
  reference
} from './common.ts'
import { EtaSchema } from './forecast.ts'

/** What a task gets where it says nothing. */
export const TASK_DEFAULTS = {
  tenant: 'default',
  priority: 0,
  maxAttempts: 3,
  baseDelayMs: 1 * second,
  maxDelayMs: 1 * minute,
  /** 0: no limit. */
  scheduleToStartMs: 0,
  startToCloseMs: 0,
  killGraceMs: 10 * second,
  delivery: 'at-least-once',
  idempotent: false,
  onLeaseLoss: 'kill',
  isolation: 'process'
} as const

/** The executors that exist. Which of them a node offers is its own configuration. */
export const EXECUTORS = ['js', 'shell'] as const
export type Executor = (typeof EXECUTORS)[number]

/** Reference to a task waited for: the name of one in the same submission, or the id of an earlier task. */
const NeedReferenceSchema = nameSchema('the name of a task of this submission, or a task id')

const NeedsSchema = Type.Union(
  [
    Type.Array(NeedReferenceSchema, { maxItems: LIMITS.taskNeeds }),
    Type.Record(Type.String({ minLength: 1, maxLength: LIMITS.nameLength }), NeedReferenceSchema, {
      maxProperties: LIMITS.taskNeeds
    })
  ],
  {
    description: `tasks to wait for, at most ${LIMITS.taskNeeds}: an array of names or ids, or an object {as: name or id}; results arrive under those names`
  }
)

export const TaskRequestSchema = closed(
  {
    name: Type.Optional(nameSchema('the task name (its class; siblings refer to it in `needs`)')),
    executor: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: LIMITS.nameLength,
        description: `one of ${EXECUTORS.join(', ')}; without it, \`command\` means shell and \`handler\` means js`
      })
    ),
    handler: Type.Optional(nameSchema('the handler to call (executor js)')),
    command: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 32_768,
        description: 'a command line for the shell (executor shell)'
      })
    ),
    env: Type.Optional(
      Type.Record(
        Type.String({ pattern: '^[A-Za-z_][A-Za-z0-9_]*$' }),
        Type.String({
          maxLength: 32_768,
          pattern: '^[^\\u0000]*$',
          description: 'text without NUL, at most 32768 characters'
        }),
        {
          additionalProperties: false,
          maxProperties: 256,
          description:
            'environment variables, text by name, beside the few of the node that a command gets (executor shell)'
        }
      )
    ),
    workingDirectory: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 4_096,
        pattern: '^[^\\u0000]*$',
        description: 'the folder that the command runs in (executor shell)'
      })
    ),
    input: Type.Optional(
      Type.Unknown({
        description: `any JSON, at most ${LIMITS.taskInputBytes} bytes: the handler's argument; a command finds it in the file DTSS_INPUT_FILE`
      })
    ),
    needs: Type.Optional(NeedsSchema),
    priority: Type.Optional(
      Type.Integer({
        minimum: -100,
        maximum: 100,
        description: 'an integer from -100 to 100; larger runs earlier'
      })
    ),
    tenant: Type.Optional(nameSchema('who the task is run for')),
    resources: Type.Optional(ResourcesSchema),
    nodeSelector: Type.Optional(LabelsSchema),
    retry: Type.Optional(
      closed(
        {
          maxAttempts: Type.Optional(
            Type.Integer({
              minimum: 1,
              maximum: LIMITS.taskAttempts,
              description: `attempts in all, from 1 to ${LIMITS.taskAttempts}`
            })
          ),
          baseDelayMs: Type.Optional(DurationSchema),
          maxDelayMs: Type.Optional(DurationSchema)
        },
        { description: 'an object {maxAttempts, baseDelayMs, maxDelayMs}' }
      )
    ),
    timeouts: Type.Optional(
      closed(
        {
          scheduleToStartMs: Type.Optional(DurationSchema),
          startToCloseMs: Type.Optional(DurationSchema)
        },
        { description: 'an object {scheduleToStartMs, startToCloseMs}; 0 is no limit' }
      )
    ),
    killGraceMs: Type.Optional(DurationSchema),
    delivery: Type.Optional(
      Type.Enum(['at-least-once', 'at-most-once'], {
        type: 'string',
        description: 'at-least-once | at-most-once'
      })
    ),
    idempotent: Type.Optional(Type.Boolean({ description: 'true when two runs do no harm' })),
    onLeaseLoss: Type.Optional(
      Type.Enum(['kill', 'continue'], {
        type: 'string',
        description: 'kill | continue (continue only when idempotent is true)'
      })
    ),
    isolation: Type.Optional(
      Type.Enum(['process', 'thread'], { type: 'string', description: 'process | thread' })
    ),
    delayMs: Type.Optional(DurationSchema),
    runAt: Type.Optional(MomentInputSchema),
    deadlineMs: Type.Optional(DurationSchema),
    deadlineAt: Type.Optional(MomentInputSchema)
  },
  {
    $id: 'TaskRequest',
    description: 'A task to run: a `command` for the shell, or a `handler` in JavaScript.'
  }
)

/** One task as a user writes it. */
export type TaskRequest = Static<typeof TaskRequestSchema>

export const TaskBatchSchema = Type.Array(TaskRequestSchema, {
  minItems: 1,
  maxItems: LIMITS.batchTasks,
  description: `an array of 1 to ${LIMITS.batchTasks} tasks`
})

/** The reply to a submission. */
export const SubmitReplySchema = closed(
  {
    id: Type.Optional(Type.String({ description: 'the id of the task; only for a submission of one' })),
    firstId: Type.String({ description: 'the lowest of the ids, which are consecutive numbers' }),
    count: Type.Integer({ minimum: 1 }),
    ids: Type.Array(Type.String(), { description: 'one per task, in the order of the request' }),
    replayed: Type.Boolean({ description: 'true when an Idempotency-Key named an earlier submission' }),
    eta: Type.Optional(reference(EtaSchema))
  },
  {
    $id: 'SubmitReply',
    description:
      '`eta`, for `?eta=true`: of the only task, or of the last one of several; absent when it is not known soon.'
  }
)
export type SubmitReply = Static<typeof SubmitReplySchema>
