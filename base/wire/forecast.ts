/**
 * What the cluster expects of tasks: predictions, times of arrival, alarms before something goes wrong, and what history
 * suggests to ask for. All of it is advice: nothing here is replicated, and two nodes may answer slightly differently.
 */
import { Type } from 'typebox'
import type { Static } from 'typebox'
import {
  CountSchema,
  MillisecondsSchema,
  NodeIdSchema,
  TaskStatusSchema,
  TimestampSchema,
  closed,
  reference
} from './common.ts'

/** Absent unless true, on nodes that were started, or given a snapshot, some seconds ago. */
const CatchingUpSchema = Type.Optional(
  Type.Boolean({
    description: 'true while the answering node still reads its history: it knows a part of it so far'
  })
)

const ProbabilitySchema = Type.Number({ minimum: 0, maximum: 1 })

/** A point of time as a distribution: it comes before `p50At` as likely as after, before `p90At` nine times in ten. */
const MomentSchema = closed({ p50At: TimestampSchema, p90At: TimestampSchema })

export const EtaSchema = closed(
  {
    startAt: Type.Optional(MomentSchema),
    finishAt: MomentSchema,
    forecastAt: TimestampSchema
  },
  {
    $id: 'Eta',
    description: 'When it is expected to start (absent once it runs) and to finish, as of `forecastAt`.'
  }
)
export type Eta = Static<typeof EtaSchema>

export const PredictedSchema = closed(
  {
    medianMs: Type.Number({ minimum: 0 }),
    p90Ms: Type.Number({ minimum: 0 }),
    p99Ms: Type.Number({ minimum: 0 }),
    failureProbability: ProbabilitySchema,
    memoryP95Bytes: Type.Optional(CountSchema),
    by: Type.String({ description: '`statistics`, or `model N` with the version that served' }),
    catchingUp: CatchingUpSchema
  },
  { $id: 'Predicted', description: 'The predicted run time of one attempt on a typical node.' }
)
export type Predicted = Static<typeof PredictedSchema>

const ALARM_KINDS = ['deadline', 'stuck', 'model', 'policy'] as const

export const AlarmSchema = closed(
  {
    kind: Type.Enum(ALARM_KINDS, {
      type: 'string',
      description: 'deadline | stuck | model | policy'
    }),
    message: Type.String(),
    id: Type.Optional(Type.String({ description: 'the task, for alarms about one' })),
    name: Type.Optional(Type.String()),
    since: Type.Optional(TimestampSchema),
    deadlineAt: Type.Optional(TimestampSchema),
    finishP90At: Type.Optional(TimestampSchema),
    elapsedMs: Type.Optional(MillisecondsSchema),
    expectedMs: Type.Optional(Type.Number({ minimum: 0 }))
  },
  {
    $id: 'Alarm',
    description:
      'deadline: it has passed, or is at risk: the predicted p90 finish is past it, or no node may run the task. stuck: an attempt ' +
      'has run far past the p99 that was predicted as it began (`expectedMs`). model, policy: the optimizer met trouble and fell back. ' +
      '`since`: when a deadline passed, when an attempt came to be stuck, when this node first saw a deadline at risk.'
  }
)
export type Alarm = Static<typeof AlarmSchema>

export const AlarmListSchema = closed({ alarms: Type.Array(reference(AlarmSchema)) }, { $id: 'AlarmList' })
export type AlarmList = Static<typeof AlarmListSchema>

export const SuggestionSchema = closed(
  {
    name: Type.String(),
    tenant: Type.String(),
    samples: CountSchema,
    memory: Type.Optional(
      closed({
        requestedBytes: CountSchema,
        p95Bytes: CountSchema,
        suggestedBytes: CountSchema,
        samples: CountSchema
      })
    ),
    timeout: Type.Optional(
      closed({
        currentMs: MillisecondsSchema,
        p99Ms: Type.Number({ minimum: 0 }),
        suggestedMs: MillisecondsSchema,
        samples: CountSchema
      })
    )
  },
  {
    $id: 'Suggestion',
    description:
      'What tasks of one name and tenant should ask for, from attempts that ended well. `requestedBytes` and `currentMs` ' +
      'are what the last one asked for; 0 for nothing.'
  }
)
export type Suggestion = Static<typeof SuggestionSchema>

export const SuggestionListSchema = closed(
  { suggestions: Type.Array(reference(SuggestionSchema)), catchingUp: CatchingUpSchema },
  { $id: 'SuggestionList' }
)
export type SuggestionList = Static<typeof SuggestionListSchema>

export const GroupViewSchema = closed(
  {
    id: Type.String({ description: 'the id of its first task' }),
    tasks: closed({
      total: CountSchema,
      ended: CountSchema,
      succeeded: CountSchema,
      failed: CountSchema,
      running: CountSchema,
      waiting: CountSchema,
      retired: CountSchema
    }),
    progress: Type.Number({
      minimum: 0,
      maximum: 1,
      description:
        'share of its work that is done: the run times of what has ended, of those and of what is predicted of the rest. An ' +
        'estimate, so it falls when the rest is predicted to take longer; `ended` of `total` never does'
    }),
    submittedAt: TimestampSchema,
    finishedAt: Type.Optional(TimestampSchema),
    eta: Type.Optional(reference(EtaSchema)),
    alarms: Type.Array(reference(AlarmSchema))
  },
  {
    $id: 'Group',
    description: 'Tasks that were submitted together: how far they are, and when they will be done.'
  }
)
export type GroupView = Static<typeof GroupViewSchema>

export const ContributionSchema = closed(
  {
    feature: Type.String({ description: 'what is known of the task, such as `name resize`' }),
    factor: Type.Number({
      minimum: 0,
      description: 'what the median is multiplied by once this is known, beside all that came before'
    })
  },
  { $id: 'Contribution' }
)
export type Contribution = Static<typeof ContributionSchema>

export const WhySchema = closed(
  {
    id: Type.String(),
    status: TaskStatusSchema,
    reason: Type.String({
      description:
        'waiting-on | delayed | no-eligible-node | no-capacity | in-line | placed | stopping | ended: see `message`'
    }),
    message: Type.String(),
    waitingOn: Type.Optional(Type.Array(Type.String())),
    readyTasks: Type.Optional(CountSchema),
    policy: Type.String({ description: 'the policy that places tasks now' }),
    nodes: Type.Optional(
      Type.Array(
        closed({
          node: NodeIdSchema,
          verdict: Type.String({
            description: 'fits, chosen, or what keeps the task off: slots, resources, handler, selector, …'
          }),
          medianMs: Type.Optional(Type.Number({ minimum: 0 }))
        }),
        { description: 'the nodes, what each would say now, and the run time predicted there' }
      )
    ),
    predicted: Type.Optional(reference(PredictedSchema)),
    quantiles: Type.Optional(
      Type.Array(closed({ q: ProbabilitySchema, ms: Type.Number({ minimum: 0 }) }), {
        description: 'the predicted distribution of the run time'
      })
    ),
    experts: Type.Optional(
      Type.Array(
        closed({ name: Type.String(), weight: ProbabilitySchema, medianMs: Type.Number({ minimum: 0 }) }),
        { description: 'the estimators that were mixed, and how far each is trusted for this class' }
      )
    ),
    typicalMs: Type.Optional(
      Type.Number({ minimum: 0, description: 'median run time of tasks of all kinds, in milliseconds' })
    ),
    contributions: Type.Optional(
      Type.Array(reference(ContributionSchema), {
        description:
          'what leads from `typicalMs` to the median of this task (on its node, where it has one), in order: their product. ' +
          'Factors within a hundredth of 1 are left to the next; none: nothing that is known makes a difference'
      })
    ),
    eta: Type.Optional(reference(EtaSchema)),
    alarms: Type.Array(reference(AlarmSchema))
  },
  { $id: 'Why', description: 'Why a task is where it is, and what is expected of it.' }
)
export type Why = Static<typeof WhySchema>
