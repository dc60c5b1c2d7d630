/** What a client asks of the optimizer: policies, models, forecasts and history. Part of `Client`. */
import type { Alarm, AlarmList, GroupView, Suggestion, SuggestionList, Why } from '../base/wire/forecast.ts'
import type { HistoryTask } from '../base/wire/history.ts'
import type {
  CompareRequest,
  ModelCalibration,
  ModelList,
  ModelMode,
  ModelStatus,
  ModelView,
  PolicyComparison,
  PolicyView
} from '../base/wire/optimizer.ts'
import { readHistory } from './history.ts'
import type { HistoryOptions } from './history.ts'
import type { CallOptions, ReadOptions } from './options.ts'
import type { Transport } from './transport.ts'

export interface OptimizerClient {
  /** The policy that places tasks. Only the leader knows `running` and `decisions`. */
  policy(options?: ReadOptions): Promise<PolicyView>
  /** Has another policy place tasks, at once and on every node. */
  setPolicy(name: string, options?: CallOptions): Promise<PolicyView>
  /** Replays recent history under policies; takes seconds. Sent once. */
  comparePolicies(request?: CompareRequest, options?: CallOptions): Promise<PolicyComparison>
  /** Versions of the model, newest first. */
  models(options?: ReadOptions): Promise<ModelView[]>
  /** What learns and what predicts, as the answering node sees it. Only the leader trains. */
  modelStatus(options?: ReadOptions): Promise<ModelStatus>
  /** How far predicted quantiles can be believed. */
  modelCalibration(options?: ReadOptions): Promise<ModelCalibration>
  /** Has a version serve. Sent once. */
  promoteModel(version: number, options?: CallOptions): Promise<ModelView>
  /** Takes the serving version out of service. Sent once. */
  rollBackModel(options?: CallOptions): Promise<ModelStatus>
  /** Freezes the models, or lets them change by themselves. */
  setModelMode(mode: ModelMode, options?: CallOptions): Promise<ModelStatus>
  /** Why a task is where it is, and what is expected of it. */
  why(id: string, options?: ReadOptions): Promise<Why>
  /** The tasks that were submitted together with this one: how far they are, and when they will be done. */
  group(id: string, options?: ReadOptions): Promise<GroupView>
  /** Alarms that stand now, the most pressing first. */
  alarms(options?: ReadOptions): Promise<Alarm[]>
  /** What tasks should ask for, by their history. */
  suggestions(options?: ReadOptions & { readonly name?: string }): Promise<Suggestion[]>
  /** Tasks that have ended, newest first. */
  history(options?: HistoryOptions): AsyncGenerator<HistoryTask, void>
}

type Read = <Reply>(
  path: string,
  query: Readonly<Record<string, string | number | undefined>>,
  asked: ReadOptions | undefined
) => Promise<Reply>

/** A replay of 5,000 tasks under several policies takes seconds, not minutes. */
const COMPARE_WAIT_MS = 120_000

export function optimizerClient(transport: Transport, read: Read): OptimizerClient {
  const change = async <Reply>(
    method: 'POST' | 'PUT',
    path: string,
    body: object | undefined,
    { signal }: CallOptions = {},
    waitMs = 0
  ): Promise<Reply> =>
    (await transport.json({
      method,
      path,
      // To set something twice does no harm; to roll back twice does.
      repeatable: method === 'PUT',
      waitMs,
      signal,
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })) as Reply
  const task = (id: string): string => `/v1/tasks/${encodeURIComponent(id)}`
  return {
    policy: (asked) => read('/v1/policy', {}, asked),
    setPolicy: (name, asked) => change('PUT', '/v1/policy', { name }, asked),
    comparePolicies: (request = {}, asked) =>
      change('POST', '/v1/policy/compare', request, asked, COMPARE_WAIT_MS),
    models: async (asked) => (await read<ModelList>('/v1/models', {}, asked)).models,
    modelStatus: (asked) => read('/v1/models/status', {}, asked),
    modelCalibration: (asked) => read('/v1/models/calibration', {}, asked),
    promoteModel: (version, asked) => change('POST', `/v1/models/${version}/promote`, undefined, asked),
    rollBackModel: (asked) => change('POST', '/v1/models/rollback', undefined, asked),
    setModelMode: (mode, asked) => change('PUT', '/v1/models/mode', { mode }, asked),
    why: (id, asked) => read(`${task(id)}/why`, {}, asked),
    group: (id, asked) => read(`/v1/groups/${encodeURIComponent(id)}`, {}, asked),
    alarms: async (asked) => (await read<AlarmList>('/v1/alarms', {}, asked)).alarms,
    suggestions: async (asked = {}) =>
      (await read<SuggestionList>('/v1/suggestions', { name: asked.name }, asked)).suggestions,
    history: (asked = {}) => readHistory(transport, asked)
  }
}
