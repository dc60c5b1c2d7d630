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
import { DtssError } from './errors.ts'
import { readHistory } from './history.ts'
import type { HistoryOptions } from './history.ts'
import type { CallOptions, ReadOptions } from './options.ts'
import type { Request, Transport } from './transport.ts'

export interface OptimizerClient {
  /** The policy that places tasks. Only the leader knows `running` and `decisions`. */
  policy(options?: ReadOptions): Promise<PolicyView>
  /** Has another policy place tasks, at once and on every node. */
  setPolicy(name: string, options?: CallOptions): Promise<PolicyView>
  /** Replays recent history under policies; takes seconds. Changes nothing, so it is repeated like a read. */
  comparePolicies(request?: CompareRequest, options?: CallOptions): Promise<PolicyComparison>
  /** Versions of the model, newest first. */
  models(options?: ReadOptions): Promise<ModelView[]>
  /** What learns and what predicts, as the answering node sees it. Only the leader trains. */
  modelStatus(options?: ReadOptions): Promise<ModelStatus>
  /** How far predicted quantiles can be believed. */
  modelCalibration(options?: ReadOptions): Promise<ModelCalibration>
  /** Has a version serve. Promoting the one that serves is no error. */
  promoteModel(version: number, options?: CallOptions): Promise<ModelView>
  /**
   * Takes a version out of service: the one that is named, or the one that serves when this is called. One that has been
   * rolled back already is no error. MODEL_NOT_FOUND when none serves.
   */
  rollBackModel(options?: CallOptions & { readonly version?: number }): Promise<ModelStatus>
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
  /** The same, and whether the answering node still reads the history that it suggests from. */
  suggestionList(options?: ReadOptions & { readonly name?: string }): Promise<SuggestionList>
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
  const change = changer(transport)
  const task = (id: string): string => `/v1/tasks/${encodeURIComponent(id)}`
  const suggestionList: OptimizerClient['suggestionList'] = (asked = {}) =>
    read('/v1/suggestions', { name: asked.name }, asked)
  return {
    policy: (asked) => read('/v1/policy', {}, asked),
    setPolicy: (name, asked) => change('PUT', '/v1/policy', { name }, asked),
    comparePolicies: (request = {}, asked) =>
      change('POST', '/v1/policy/compare', request, asked, COMPARE_WAIT_MS, 'elsewhere'),
    models: (asked) => modelsOf(read, asked),
    modelStatus: (asked) => read('/v1/models/status', {}, asked),
    modelCalibration: (asked) => read('/v1/models/calibration', {}, asked),
    promoteModel: (version, asked) => promote(change, read, version, asked),
    rollBackModel: (asked) => rollBack(change, read, asked),
    setModelMode: (mode, asked) => change('PUT', '/v1/models/mode', { mode }, asked),
    why: (id, asked) => read(`${task(id)}/why`, {}, asked),
    group: (id, asked) => read(`/v1/groups/${encodeURIComponent(id)}`, {}, asked),
    alarms: async (asked) => (await read<AlarmList>('/v1/alarms', {}, asked)).alarms,
    suggestions: async (asked) => (await suggestionList(asked)).suggestions,
    suggestionList,
    history: (asked = {}) => readHistory(transport, asked)
  }
}

type Change = <Reply>(
  method: 'POST' | 'PUT',
  path: string,
  body?: object,
  options?: CallOptions,
  waitMs?: number,
  repeatable?: Request['repeatable']
) => Promise<Reply>

/** To set something twice does no harm, nor to say twice of one version what it shall be; all else is sent once. */
function changer(transport: Transport): Change {
  return async <Reply>(
    method: 'POST' | 'PUT',
    path: string,
    body?: object,
    { signal }: CallOptions = {},
    waitMs = 0,
    repeatable: Request['repeatable'] = method === 'PUT'
  ): Promise<Reply> =>
    (await transport.json({
      method,
      path,
      repeatable,
      waitMs,
      signal,
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })) as Reply
}

async function modelsOf(read: Read, asked: ReadOptions | undefined): Promise<ModelView[]> {
  return (await read<ModelList>('/v1/models', {}, asked)).models
}

/** A version that serves already may do so by this very call, whose first reply was lost. */
async function promote(
  change: Change,
  read: Read,
  version: number,
  asked: CallOptions | undefined
): Promise<ModelView> {
  try {
    return await change('POST', `/v1/models/${version}/promote`, undefined, asked, 0, true)
  } catch (error) {
    if (!(error instanceof DtssError) || error.code !== 'MODEL_STATE_INVALID') throw error
    const model = (await modelsOf(read, asked)).find((other) => other.version === version)
    if (model?.state !== 'serving') throw error
    return model
  }
}

/** Without a version, to repeat it could roll back two: so the version is looked up first, and named. */
async function rollBack(
  change: Change,
  read: Read,
  { version, signal }: CallOptions & { readonly version?: number } = {}
): Promise<ModelStatus> {
  const asked = signal === undefined ? {} : { signal }
  const meant = version ?? (await read<ModelStatus>('/v1/models/status', {}, asked)).serving?.version
  if (meant === undefined) return await change('POST', '/v1/models/rollback', undefined, asked)
  return await change('POST', `/v1/models/${meant}/rollback`, undefined, asked, 0, true)
}
