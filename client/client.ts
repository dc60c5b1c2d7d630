/**
 * A typed client for the HTTP API. Talks to any nodes of one cluster, fails over between them, and repeats what is safe
 * to repeat. Runs in Node and in browsers.
 */
import { LIMITS } from '../base/limits.ts'
import type { ClusterInfo, NodeInfo, NodeList } from '../base/wire/cluster.ts'
import { isTerminal } from '../base/wire/common.ts'
import type { WireTaskStatus } from '../base/wire/common.ts'
import type { Eta } from '../base/wire/forecast.ts'
import { DEADLINES } from '../base/wire/deadlines.ts'
import { DEFAULT_PORT, HEADERS } from '../base/wire/headers.ts'
import type {
  CancelReply,
  TaskPage,
  TaskResultReply,
  TaskStatusReply,
  TaskSummary,
  TaskView
} from '../base/wire/task-reply.ts'
import type { SubmitReply, TaskRequest } from '../base/wire/task-request.ts'
import { DtssError } from './errors.ts'
import { followLogs, readLogs } from './logs.ts'
import type { LogEntry, LogOptions } from './logs.ts'
import { optimizerClient } from './optimizer.ts'
import type { OptimizerClient } from './optimizer.ts'
import type { CallOptions, ReadOptions } from './options.ts'
import { Transport } from './transport.ts'

export interface ClientOptions {
  /** Base URL of a node. Default `http://127.0.0.1:7400`. */
  readonly url?: string
  /** Base URLs of several nodes, tried in turn. Overrides `url`. */
  readonly urls?: readonly string[]
  /** Default: the global one. */
  readonly fetch?: typeof fetch
  /** For one try of a request, in milliseconds. Default 15,000. */
  readonly timeoutMs?: number
  /** Tries after the first, for requests that are safe to repeat. Default 5. */
  readonly retries?: number
  /** Upper bound of the first delay between tries; doubles with each, up to 5 s. Default 100. */
  readonly baseDelayMs?: number
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string>>
  /** Told before a failed request is sent again: why, and how long it has been tried for, in milliseconds. */
  readonly onRetry?: (error: DtssError, triedMs: number) => void
}

/** What came of a submission. */
export interface Submitted {
  readonly id: string
  readonly replayed: boolean
  /** When asked for, and known. */
  readonly eta?: Eta
}

export interface SubmittedMany {
  /** In the order of the tasks. */
  readonly ids: string[]
  readonly replayed: boolean
  /** Of the last of them, when asked for, and known. */
  readonly eta?: Eta
}

export interface SubmitOptions extends CallOptions {
  /** Asks when the work will be done; the reply comes a tenth of a second later for it at most. Default false. */
  readonly eta?: boolean
  /**
   * Repeating a submission with the same key and content submits nothing more. By default the client draws a key for
   * each call, so that it can safely retry. `false` sends none: the cluster keeps no key (it keeps at most
   * LIMITS.idempotencyKeys of them for LIMITS.keyTtlMs), and the submission is sent once, never retried.
   */
  readonly idempotencyKey?: string | false
}

export interface WaitOptions extends ReadOptions {
  /** Gives up with TIMEOUT after so many milliseconds. Default: never. */
  readonly timeoutMs?: number
}

export interface ListOptions extends ReadOptions {
  readonly status?: WireTaskStatus | readonly WireTaskStatus[]
  readonly name?: string
  /** Tasks fetched at a time, not in all. */
  readonly pageSize?: number
}

export interface Client extends OptimizerClient {
  /** Submits one task; its id comes when the submission is committed. */
  submit(task: TaskRequest, options?: SubmitOptions): Promise<Submitted>
  /** Submits up to LIMITS.batchTasks tasks as one: all or none. `ids` are in the order of `tasks`. */
  submitMany(tasks: readonly TaskRequest[], options?: SubmitOptions): Promise<SubmittedMany>
  /** A task in full. */
  get(id: string, options?: ReadOptions): Promise<TaskView>
  /** How far a task is. */
  status(id: string, options?: ReadOptions): Promise<TaskStatusReply>
  /** A task in full once it has ended, however it ended. */
  wait(id: string, options?: WaitOptions): Promise<TaskView>
  /** What came of a task that has ended; NOT_TERMINAL before. */
  result(id: string, options?: ReadOptions): Promise<TaskResultReply>
  /** Tasks, newest first. */
  list(options?: ListOptions): AsyncGenerator<TaskSummary, void>
  /** Cancels a task. Cancelling a cancelled one is no error; one that ended otherwise is ALREADY_TERMINAL. */
  cancel(id: string, options?: CallOptions): Promise<CancelReply>
  /** A task's output: what there is, or with `follow` all until its end, across failures of nodes. */
  logs(id: string, options?: LogOptions): AsyncGenerator<LogEntry, unknown>
  cluster(options?: ReadOptions): Promise<ClusterInfo>
  nodes(options?: ReadOptions): Promise<NodeInfo[]>
  /** Has a node leave: it finishes what runs there, gets nothing new, and is then taken out of the cluster. */
  leaveNode(id: number, options?: CallOptions): Promise<NodeInfo>
}

/** A client for the cluster whose nodes these URLs name. */
export function createClient(options: ClientOptions = {}): Client {
  const transport = new Transport({
    urls: options.urls ?? [options.url ?? `http://127.0.0.1:${DEFAULT_PORT}`],
    fetch: options.fetch ?? ((input, init) => fetch(input, init)),
    timeoutMs: options.timeoutMs ?? DEADLINES.replyMs,
    retries: options.retries ?? 5,
    baseDelayMs: options.baseDelayMs ?? 100,
    maxDelayMs: 5_000,
    headers: options.headers ?? {},
    onRetry: options.onRetry ?? (() => undefined)
  })
  const read = <Reply>(path: string, query: Query, asked: ReadOptions = {}, waitMs = 0): Promise<Reply> =>
    getJson<Reply>(transport, path, query, asked, waitMs)
  const submit = (body: unknown, asked: SubmitOptions = {}): Promise<SubmitReply> =>
    post(transport, body, asked)
  return {
    ...optimizerClient(transport, read),
    submit: async (task, asked) => {
      const { ids, replayed, eta } = await submit(task, asked)
      return { id: ids[0] ?? '', replayed, ...(eta === undefined ? {} : { eta }) }
    },
    submitMany: async (tasks, asked) => {
      const { ids, replayed, eta } = await submit(tasks, asked)
      return { ids, replayed, ...(eta === undefined ? {} : { eta }) }
    },
    get: (id, asked) => read<TaskView>(taskPath(id), {}, asked),
    status: (id, asked) => read<TaskStatusReply>(`${taskPath(id)}/status`, {}, asked),
    result: (id, asked) => read<TaskResultReply>(`${taskPath(id)}/result`, {}, asked),
    wait: (id, asked = {}) =>
      waitForEnd(id, asked, (waitMs) => read<TaskView>(taskPath(id), { wait: waitMs }, asked, waitMs)),
    list: (asked = {}) => listAll(asked, (query) => read<TaskPage>('/v1/tasks', query, asked)),
    cancel: (id, asked = {}) => cancel(transport, id, asked),
    logs: (id, asked = {}) =>
      asked.follow === true ? followLogs(transport, id, asked) : readLogs(transport, id, asked),
    cluster: (asked) => read<ClusterInfo>('/v1/cluster', {}, asked),
    nodes: async (asked) => (await read<NodeList>('/v1/nodes', {}, asked)).nodes,
    leaveNode: async (id, { signal } = {}) =>
      (await transport.json({
        method: 'POST',
        path: `/v1/nodes/${id}/leave`,
        repeatable: true,
        signal
      })) as NodeInfo
  }
}

type Query = Readonly<Record<string, string | number | undefined>>

function taskPath(id: string): string {
  return `/v1/tasks/${encodeURIComponent(id)}`
}

async function getJson<Reply>(
  transport: Transport,
  path: string,
  query: Query,
  { consistency, signal }: ReadOptions,
  waitMs: number
): Promise<Reply> {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query))
    if (value !== undefined) parameters.set(name, String(value))
  if (consistency === 'stale') {
    parameters.set('consistency', 'stale')
    // Nodes differ in how far they are: without this, a second read could go back in time.
    parameters.set('index', String(transport.appliedIndex))
  }
  const suffix = parameters.size === 0 ? '' : `?${parameters.toString()}`
  const reply = await transport.json({
    method: 'GET',
    path: path + suffix,
    repeatable: true,
    waitMs,
    signal
  })
  return reply as Reply
}

async function post(
  transport: Transport,
  body: unknown,
  { idempotencyKey, eta, signal }: SubmitOptions
): Promise<SubmitReply> {
  const key = idempotencyKey ?? randomKey()
  const reply = await transport.json({
    method: 'POST',
    path: eta === true ? '/v1/tasks?eta=true' : '/v1/tasks',
    body: JSON.stringify(body),
    headers: key === false ? {} : { [HEADERS.idempotencyKey]: key },
    repeatable: key !== false,
    signal
  })
  return reply as SubmitReply
}

/** 128 random bits. `crypto.randomUUID` is missing in pages that are not served securely. */
function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

async function waitForEnd(
  id: string,
  { timeoutMs }: WaitOptions,
  poll: (waitMs: number) => Promise<TaskView>
): Promise<TaskView> {
  const deadline = timeoutMs === undefined ? Infinity : performance.now() + timeoutMs
  for (;;) {
    const leftMs = Math.max(0, Math.ceil(deadline - performance.now()))
    const task = await poll(Math.min(LIMITS.readWaitMs, leftMs))
    if (isTerminal(task.status)) return task
    if (performance.now() < deadline) continue
    throw new DtssError(
      `task ${id}: got status ${task.status} after ${timeoutMs ?? 0} ms, expected it to have ended`,
      {
        code: 'TIMEOUT',
        status: 0,
        retryable: true
      }
    )
  }
}

async function* listAll(
  { status, name, pageSize }: ListOptions,
  page: (query: Query) => Promise<TaskPage>
): AsyncGenerator<TaskSummary, void> {
  const statuses = status === undefined || typeof status === 'string' ? status : status.join(',')
  let cursor: string | undefined
  do {
    const { tasks, next } = await page({ status: statuses, name, limit: pageSize, cursor })
    yield* tasks
    cursor = next
  } while (cursor !== undefined)
}

async function cancel(transport: Transport, id: string, { signal }: CallOptions): Promise<CancelReply> {
  try {
    return (await transport.json({
      method: 'DELETE',
      path: taskPath(id),
      repeatable: true,
      signal
    })) as CancelReply
  } catch (error) {
    if (!(error instanceof DtssError) || error.code !== 'ALREADY_TERMINAL') throw error
    const { status } = await getJson<TaskStatusReply>(
      transport,
      `${taskPath(id)}/status`,
      {},
      signal === undefined ? {} : { signal },
      0
    )
    // It may have been this very call whose first reply was lost.
    if (status === 'cancelled') return { id, status }
    throw error
  }
}
