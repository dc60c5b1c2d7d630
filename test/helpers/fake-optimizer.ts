/** An optimizer in memory behind the port of the HTTP server: says fixed things, and notes what it was told. */
import { AUTO_POLICY } from '../../base/wire/optimizer.ts'
import type {
  ComparisonRequest,
  GroupOutlook,
  OptimizerPort,
  PredictionDetail,
  TaskOutlook
} from '../../api/ports.ts'
import { AppError } from '../../base/errors.ts'
import type { TaskId } from '../../base/ids.ts'
import { formatTaskId, nodeId } from '../../base/ids.ts'
import type { Alarm, Eta, Suggestion } from '../../base/wire/forecast.ts'
import type {
  ModelCalibration,
  ModelMode,
  ModelStatus,
  ModelView,
  PolicyComparison,
  PolicyView
} from '../../base/wire/optimizer.ts'
import type { Task } from '../../scheduler/types.ts'

const AT = 1_700_000_000_000
const ETA: Eta = {
  startAt: { p50At: AT + 1000, p90At: AT + 2000 },
  finishAt: { p50At: AT + 3000, p90At: AT + 9000 },
  forecastAt: AT
}

export class FakeOptimizer implements OptimizerPort {
  current = 'least-loaded'
  /** Of the gains in comparisons. */
  ci95: PolicyComparison['policies'][number]['gain']['ci95'] = { low: 0.02, high: 0.18 }
  /** Of the tasks in comparisons. */
  drawn = 0
  mode: ModelMode = 'auto'
  serving: number | undefined = 2
  readonly rolledBack = new Set<number>()
  readonly comparisons: ComparisonRequest[] = []
  /** Thrown by the next outlook. */
  failNext: Error | undefined
  /** Thrown by explanations. */
  failDetail: Error | undefined

  catchingUp = false

  policyMode: PolicyView['mode'] = 'fixed'

  policy = (): PolicyView => ({
    current: this.current,
    running: this.current,
    since: AT,
    available: [
      { name: 'fifo', about: 'order of readiness' },
      { name: 'least-loaded', about: 'priority, then readiness' },
      { name: 'learned', about: 'predicted run times' }
    ],
    decisions: { count: 10, p50Us: 2.5, p99Us: 11 },
    mode: this.policyMode,
    fallbacks: 0
  })

  setPolicy = (name: string): Promise<void> => {
    this.policyMode = name === AUTO_POLICY ? 'auto' : 'fixed'
    if (this.policyMode === 'fixed') this.current = name
    return Promise.resolve()
  }

  compare = (request: ComparisonRequest): Promise<PolicyComparison> => {
    this.comparisons.push(request)
    return Promise.resolve({
      base: this.current,
      tasks: request.tasks,
      units: { tasks: request.tasks - 2, dags: 1 },
      drawn: this.drawn,
      unended: this.drawn,
      nodes: 3,
      fromAt: AT,
      toAt: AT + 60_000,
      load: 0.7,
      policies: request.policies.map((policy) => ({
        policy,
        meanJctMs: 1500,
        p95JctMs: 4000,
        boundedSlowdown: 1.5,
        gain: { mean: 0.1, ci95: this.ci95 }
      })),
      actual: { units: 47, meanJctMs: 82_000, replayedMeanJctMs: 80_000, policy: this.current },
      notes: ['others were waiting too']
    })
  }

  models = (): ModelView[] =>
    [3, 2, 1].map((version) => ({
      version,
      state: this.#stateOf(version),
      publishedAt: AT,
      changedAt: AT,
      trainedOn: 100 * version,
      sizeBytes: 30_000,
      evaluation: { logLoss: 2.5 },
      reason: 'better by 4 %'
    }))

  modelStatus = (): ModelStatus => {
    const serving = this.models().find(({ state }) => state === 'serving')
    const shadow = this.models().find(({ state }) => state === 'shadow')
    return {
      mode: this.mode,
      node: nodeId(2),
      leading: true,
      ...(serving === undefined ? {} : { serving }),
      predictedBy: serving === undefined ? 'statistics' : `model ${serving.version}`,
      ...(shadow === undefined ? {} : { shadow }),
      trainer: {
        state: 'training',
        backend: 'wasm',
        cpuShare: 0.04,
        rows: 900,
        trainAfter: 256,
        steps: 12,
        restarts: 0
      },
      predictions: { count: 500, maeLn: 0.8, coverage90: 0.91, coverage99: 0.99 },
      experts: { statistics: 0.6, network: 0.4 },
      driftingClasses: 1,
      memoryBytes: 1_000_000,
      alarms: []
    }
  }

  calibration = (): ModelCalibration => ({
    count: 500,
    maeLn: 0.8,
    coverage90: 0.91,
    coverage99: 0.99,
    reliability: [
      { level: 0.5, observed: 0.52 },
      { level: 0.99, observed: 0.98 }
    ],
    eta: { count: 40, heldP50: 0.5, heldP90: 0.9 },
    tenants: [
      {
        tenant: 'default',
        count: 500,
        coverage90: 0.91,
        coverage95: 0.96,
        coverage99: 0.99,
        spread99: 4.25,
        pit: [50, 50, 50, 50, 50, 50, 50, 50, 50, 50]
      }
    ]
  })

  #stateOf(version: number): ModelView['state'] {
    if (version === this.serving) return 'serving'
    if (this.rolledBack.has(version)) return 'rolled-back'
    return version === 3 ? 'shadow' : 'retired'
  }

  promote = (version: number): Promise<void> => {
    if (version > 3) return Promise.reject(new AppError('MODEL_NOT_FOUND', `there is no model ${version}`))
    if (version === this.serving)
      return Promise.reject(new AppError('MODEL_STATE_INVALID', 'it serves already'))
    this.serving = version
    return Promise.resolve()
  }

  rollBack = (version: number | undefined): Promise<void> => {
    const meant = version ?? this.serving
    if (meant === undefined) return Promise.reject(new AppError('MODEL_NOT_FOUND', 'no model serves'))
    if (version !== undefined && this.#stateOf(version) === 'rolled-back') return Promise.resolve()
    if (meant !== this.serving)
      return Promise.reject(new AppError('MODEL_STATE_INVALID', 'it does not serve'))
    this.rolledBack.add(meant)
    this.serving = undefined
    return Promise.resolve()
  }

  setModelMode = (mode: ModelMode): Promise<void> => {
    this.mode = mode
    return Promise.resolve()
  }

  outlook = (task: Task): Promise<TaskOutlook> => {
    const error = this.failNext
    this.failNext = undefined
    if (error !== undefined) return Promise.reject(error)
    return Promise.resolve({
      predicted: {
        medianMs: 2000,
        p90Ms: 5000,
        p99Ms: 9000,
        failureProbability: 0.01,
        memoryP95Bytes: 1_000_000,
        by: 'model 2'
      },
      eta: ETA,
      alarms: task.spec.deadlineAt > 0 ? [this.#deadlineAlarm(task)] : []
    })
  }

  etas = (tasks: readonly Task[]): Promise<readonly Eta[]> => this.#unlessFailing(tasks.map(() => ETA))

  submissionEta = (_first: TaskId, count: number): Promise<Eta | undefined> =>
    this.#unlessFailing(count > 1 ? { finishAt: ETA.finishAt, forecastAt: AT } : ETA)

  #unlessFailing<T>(value: T): Promise<T> {
    const error = this.failNext
    this.failNext = undefined
    return error === undefined ? Promise.resolve(value) : Promise.reject(error)
  }

  groupOutlook = (): Promise<GroupOutlook> =>
    Promise.resolve({ eta: { finishAt: ETA.finishAt, forecastAt: AT }, alarms: [] })

  expectedMs = (): number => 20

  explain = (): PredictionDetail => {
    if (this.failDetail !== undefined) throw this.failDetail
    return {
      quantiles: [
        { q: 0.5, ms: 2000 },
        { q: 0.9, ms: 5000 }
      ],
      experts: [{ name: 'statistics', weight: 1, medianMs: 2000 }],
      typicalMs: 1400,
      contributions: [{ feature: 'name', factor: 1.4 }],
      nodes: [{ node: nodeId(1), medianMs: 1900 }]
    }
  }

  alarms = (): Promise<Alarm[]> =>
    Promise.resolve([{ kind: 'model', message: 'model 3 was rejected: not a number', since: AT }])

  suggestions = (name: string | undefined): Suggestion[] =>
    name === 'rare'
      ? []
      : [
          {
            name: 'resize',
            tenant: 'default',
            samples: 100,
            memory: { requestedBytes: 0, p95Bytes: 10_000_000, suggestedBytes: 12_582_912, samples: 100 },
            timeout: { currentMs: 0, p99Ms: 4000, suggestedMs: 12_000, samples: 100 }
          }
        ]

  #deadlineAlarm(task: Task): Alarm {
    return {
      kind: 'deadline',
      message: 'its deadline is earlier than its predicted p90 finish',
      id: formatTaskId(task.id),
      name: task.spec.name,
      since: AT,
      deadlineAt: task.spec.deadlineAt,
      finishP90At: ETA.finishAt.p90At
    }
  }
}
