/**
 * The optimizer as the API shows it: the policy that places tasks, and the models behind its predictions. Policy, models
 * and mode are replicated; `trainer` and measurements are the answering node's own.
 */
import { Type } from 'typebox'
import type { Static } from 'typebox'
import { CountSchema, NodeIdSchema, TimestampSchema, closed, nameSchema, reference } from './common.ts'
import { AlarmSchema } from './forecast.ts'

/** The most policies that one comparison replays. */
const COMPARED_POLICIES = 8
/** The most tasks of the cluster's history that one comparison replays. */
export const COMPARED_TASKS = 5_000
/** Of fewer, the guard makes no replay. */
export const FEWEST_COMPARED = 20
export const DEFAULT_COMPARED_TASKS = 2_000

const ShareSchema = Type.Number({ minimum: 0, maximum: 1 })
const MicrosecondsSchema = Type.Number({ minimum: 0, description: 'microseconds' })
const EndSchema = Type.Union([Type.Number(), Type.Null()])
/** Never null itself: clients read its ends. JSON has no infinity. */
const IntervalSchema = closed(
  { low: EndSchema, high: EndSchema },
  { description: 'an end is null where too little was replayed to say' }
)

const describedCount = (description: string) => Type.Integer({ minimum: 0, description })

/** Instead of a policy's name: the leader's guard chooses. */
export const AUTO_POLICY = 'auto'

const POLICY_MODES = ['fixed', 'auto'] as const

export const PolicyViewSchema = closed(
  {
    current: Type.String(),
    mode: Type.Enum(POLICY_MODES, {
      type: 'string',
      description: 'fixed: as it was set; auto: the leader changes it when replays of recent history say so'
    }),
    running: Type.Optional(
      Type.String({
        description:
          'what the leader runs: not `current` after that one failed, or where the leader does not have it. Only the leader says.'
      })
    ),
    since: Type.Optional(TimestampSchema),
    lastSwitch: Type.Optional(
      closed({
        at: TimestampSchema,
        from: Type.String(),
        to: Type.String(),
        reason: Type.String({ description: 'with the gain and its 95 % interval when a replay led to it' }),
        returns: Type.Integer({
          minimum: 0,
          description: 'how often the leader has gone back in mode auto since an operator last chose'
        })
      })
    ),
    available: Type.Array(closed({ name: Type.String(), about: Type.String() })),
    decisions: Type.Optional(
      closed(
        { count: CountSchema, p50Us: MicrosecondsSchema, p99Us: MicrosecondsSchema },
        { description: 'what this node spent on decisions while it led' }
      )
    ),
    fallbacks: CountSchema
  },
  { $id: 'Policy', description: 'The policy that places tasks.' }
)
export type PolicyView = Static<typeof PolicyViewSchema>

export const PolicyChangeSchema = closed(
  { name: nameSchema(`the name of a policy, or ${AUTO_POLICY}: the leader chooses`) },
  { $id: 'PolicyChange', description: 'an object {name}' }
)
export type PolicyChange = Static<typeof PolicyChangeSchema>

export const CompareRequestSchema = closed(
  {
    policies: Type.Optional(
      Type.Array(nameSchema('the name of a policy'), {
        minItems: 1,
        maxItems: COMPARED_POLICIES,
        description: `1 to ${COMPARED_POLICIES} names; by default all that are available`
      })
    ),
    tasks: Type.Optional(
      Type.Integer({
        minimum: FEWEST_COMPARED,
        maximum: COMPARED_TASKS,
        description: `how many of the tasks that arrived last and have ended are replayed, from ${FEWEST_COMPARED} to ${COMPARED_TASKS}; ${DEFAULT_COMPARED_TASKS} by default`
      })
    )
  },
  { $id: 'CompareRequest', description: 'an object {policies, tasks}' }
)
export type CompareRequest = Static<typeof CompareRequestSchema>

export const PolicyComparisonSchema = closed(
  {
    base: Type.String({ description: 'the policy that gains are measured against: the current one' }),
    tasks: CountSchema,
    units: Type.Optional(
      closed(
        { tasks: CountSchema, dags: CountSchema },
        { description: 'what was judged: a DAG counts once, and every other task by itself' }
      )
    ),
    drawn: Type.Optional(
      describedCount(
        'tasks of the replay that have not ended, with run times drawn from those of tasks like them'
      )
    ),
    unended: Type.Optional(
      describedCount('tasks that arrived within the same time and have not ended, replayed or not')
    ),
    nodes: CountSchema,
    fromAt: TimestampSchema,
    toAt: TimestampSchema,
    load: Type.Number({
      minimum: 0,
      description:
        'work ÷ (capacity × time between the first and the last arrival of the replayed tasks), as `dtss lab` has it: above 1 a backlog grows'
    }),
    actual: Type.Optional(
      closed(
        {
          meanJctMs: Type.Number({ minimum: 0 }),
          units: Type.Optional(describedCount('units that have ended')),
          replayedMeanJctMs: Type.Optional(
            Type.Number({ minimum: 0, description: 'what the replay under `base` makes of the same units' })
          ),
          policy: Type.Optional(
            Type.String({ description: 'that placed all of them; absent when it was changed meanwhile' })
          )
        },
        {
          description:
            'what was recorded of those units that have ended: the mean completion time from the same arrivals, waiting behind others, starts and retries included; absent when none has'
        }
      )
    ),
    policies: Type.Array(
      closed({
        policy: Type.String(),
        meanJctMs: Type.Number({ minimum: 0 }),
        p95JctMs: Type.Number({ minimum: 0 }),
        boundedSlowdown: Type.Number({ minimum: 0 }),
        gain: closed(
          {
            mean: Type.Number(),
            ci95: IntervalSchema
          },
          { description: 'share of the mean completion time that it saves against `base`' }
        )
      })
    ),
    notes: Type.Optional(
      Type.Array(Type.String(), { description: 'what to bear in mind about these figures, in words' })
    )
  },
  {
    $id: 'PolicyComparison',
    description:
      "A replay of the cluster's recent history in the simulator, with recorded run times, and drawn ones for what has not ended."
  }
)
export type PolicyComparison = Static<typeof PolicyComparisonSchema>

const MODEL_STATES = ['shadow', 'serving', 'retired', 'rejected', 'rolled-back'] as const

export const ModelViewSchema = closed(
  {
    version: CountSchema,
    state: Type.Enum(MODEL_STATES, { type: 'string', description: MODEL_STATES.join(' | ') }),
    publishedAt: TimestampSchema,
    changedAt: TimestampSchema,
    trainedOn: Type.Integer({ minimum: 0, description: 'attempts that it was trained on' }),
    sizeBytes: CountSchema,
    evaluation: Type.Optional(Type.Unknown({ description: 'what the trainer and the guard measured' })),
    reason: Type.String({ description: 'of its last change of state' })
  },
  { $id: 'Model', description: 'A version of the model.' }
)
export type ModelView = Static<typeof ModelViewSchema>

export const ModelListSchema = closed(
  { models: Type.Array(reference(ModelViewSchema)) },
  { $id: 'ModelList' }
)
export type ModelList = Static<typeof ModelListSchema>

const MODEL_MODES = ['auto', 'frozen'] as const
const ModelModeSchema = Type.Enum(MODEL_MODES, { type: 'string', description: MODEL_MODES.join(' | ') })
export type ModelMode = (typeof MODEL_MODES)[number]

export const ModelModeChangeSchema = closed(
  { mode: ModelModeSchema },
  { $id: 'ModelModeChange', description: 'an object {mode}' }
)
export type ModelModeChange = Static<typeof ModelModeChangeSchema>

const ErrorSchema = Type.Number({
  minimum: 0,
  description: 'mean absolute error of ln(run time) against the predicted median'
})

/** How well run times were predicted of late, on one node. Without data, without figures. */
const AccuracySchema = closed({
  count: CountSchema,
  maeLn: Type.Optional(ErrorSchema),
  coverage90: Type.Optional(ShareSchema),
  coverage99: Type.Optional(ShareSchema)
})

export const ModelStatusSchema = closed(
  {
    mode: ModelModeSchema,
    node: NodeIdSchema,
    leading: Type.Boolean({ description: 'whether the answering node leads: only a leader trains' }),
    serving: Type.Optional(reference(ModelViewSchema)),
    predictedBy: Type.Optional(
      Type.String({
        description:
          '`statistics`, or `model N`: not the one that serves where the answering node cannot read it'
      })
    ),
    shadow: Type.Optional(reference(ModelViewSchema)),
    trainer: Type.Optional(
      closed({
        state: Type.String({ description: 'off | waiting | starting | training | frozen | failed' }),
        backend: Type.Optional(Type.String({ description: 'tensorflow | wasm | cpu' })),
        cpuShare: Type.Number({
          minimum: 0,
          description: 'of one core, over the last minute, replays and judgements included'
        }),
        rows: CountSchema,
        trainAfter: Type.Optional(describedCount('rows that the leader waits for before it trains')),
        steps: CountSchema,
        restarts: CountSchema
      })
    ),
    predictions: AccuracySchema,
    experts: Type.Record(Type.String(), ShareSchema, {
      description: 'how far each estimator is trusted, over all classes'
    }),
    driftingClasses: CountSchema,
    memoryBytes: Type.Optional(CountSchema),
    alarms: Type.Array(reference(AlarmSchema))
  },
  { $id: 'ModelStatus', description: 'What learns and what predicts, as the answering node sees it.' }
)
export type ModelStatus = Static<typeof ModelStatusSchema>

const SpreadSchema = Type.Number({
  minimum: 0,
  description:
    'predicted p99 ÷ median, in the geometric mean: how wide predictions have to be for their p99 to hold'
})

const JudgedSchema = Type.Integer({
  minimum: 0,
  description: 'the run times that are judged here: the latest, 2,000 at most'
})

export const ModelCalibrationSchema = closed(
  {
    ...AccuracySchema.properties,
    count: JudgedSchema,
    spread99: Type.Optional(SpreadSchema),
    reliability: Type.Array(closed({ level: ShareSchema, observed: ShareSchema }), {
      description:
        'the share of run times at or below each quantile as it was predicted when the attempt began: the diagonal is perfect. Empty before the first'
    }),
    eta: closed(
      { count: CountSchema, heldP50: Type.Optional(ShareSchema), heldP90: Type.Optional(ShareSchema) },
      { description: 'how often tasks finished by the forecast p50 and p90, of a sample of all forecasts' }
    ),
    tenants: Type.Array(
      closed({
        tenant: Type.String(),
        count: JudgedSchema,
        coverage90: ShareSchema,
        coverage95: ShareSchema,
        coverage99: ShareSchema,
        spread99: SpreadSchema,
        pit: Type.Array(CountSchema, {
          description: 'how many run times fell into each tenth of what was predicted: even is perfect'
        })
      })
    )
  },
  {
    $id: 'ModelCalibration',
    description: 'How far predicted quantiles can be believed, from recent completions.'
  }
)
export type ModelCalibration = Static<typeof ModelCalibrationSchema>
