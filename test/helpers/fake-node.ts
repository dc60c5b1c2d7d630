/**
 * A node in memory behind the port of the HTTP server: accepts submissions, never runs them. Tests end tasks, add output
 * and make calls fail by hand.
 */
import { createServer } from '../../api/server.ts'
import type { ServerOptions } from '../../api/server.ts'
import type {
  KnownTaskRecord,
  LogChunk,
  LogQuery,
  NodePort,
  SubmitReceipt,
  SubmitRequest,
  TaskQuery,
  TaskRecord,
  TaskRecordPage
} from '../../api/ports.ts'
import { AppError, toAppError } from '../../base/errors.ts'
import { fencingToken, incarnation, nodeId, taskId } from '../../base/ids.ts'
import type { NodeId, TaskId } from '../../base/ids.ts'
import { durationMs, timestampMs } from '../../base/units.ts'
import type { ClusterInfo, Health, NodeInfo } from '../../base/wire/cluster.ts'
import { orderSubmission } from '../../scheduler/dag.ts'
import type { Explanation } from '../../scheduler/explain.ts'
import type { HistoryRow, Task, TaskError, TaskSpec, TerminalStatus } from '../../scheduler/types.ts'

import { FakeOptimizer } from './fake-optimizer.ts'

const NO_BYTES = new Uint8Array(0)
const SUBMITTED_AT = timestampMs(1_700_000_000_000)

export class FakeNode implements NodePort {
  readonly nodeId = nodeId(2)
  readonly records = new Map<TaskId, KnownTaskRecord>()
  readonly retired = new Set<TaskId>()
  readonly chunks = new Map<TaskId, LogChunk[]>()
  readonly submissions: SubmitRequest[] = []
  readonly optimizer = new FakeOptimizer()
  readonly #keys = new Map<string, { fingerprint: string; ids: readonly TaskId[] }>()
  readonly #waiting = new Set<() => void>()
  applied = 7
  readIndexCalls = 0
  healthy = true
  /** Thrown by the next call that writes or settles a read. */
  failNext: Error | undefined

  now = (): ReturnType<typeof timestampMs> => SUBMITTED_AT
  appliedIndex = (): number => this.applied
  leader = (): ReturnType<typeof nodeId> => nodeId(1)

  submit = (request: SubmitRequest): Promise<SubmitReceipt> => {
    try {
      this.#failIfAsked()
      this.submissions.push(request)
      return Promise.resolve(this.#submit(request))
    } catch (error) {
      return Promise.reject(toAppError(error))
    }
  }

  #submit({ tasks, idempotency }: SubmitRequest): SubmitReceipt {
    const kept = idempotency === undefined ? undefined : this.#keys.get(idempotency.key)
    if (kept !== undefined) {
      if (kept.fingerprint !== idempotency?.fingerprint)
        throw new AppError('IDEMPOTENCY_MISMATCH', 'another body')
      return { ids: kept.ids, replayed: true }
    }
    const { submission, positions } = orderSubmission(tasks)
    const first = this.records.size + this.retired.size + 1
    for (const [position, task] of submission.tasks.entries()) {
      const id = taskId(first + position)
      const needs = task.needs.map((need) => ({
        as: need.as,
        id: 'id' in need ? need.id : taskId(first + need.position)
      }))
      this.records.set(id, { kind: 'live', task: liveTask(id, taskId(first), { ...task, needs }) })
    }
    const ids = positions.map((position) => taskId(first + position))
    this.applied += 1
    if (idempotency !== undefined)
      this.#keys.set(idempotency.key, { fingerprint: idempotency.fingerprint, ids })
    return { ids, replayed: false }
  }

  cancel = (id: TaskId): Promise<'cancelled'> => {
    const record = this.task(id)
    if (record.kind === 'unknown')
      return Promise.reject(new AppError('TASK_NOT_FOUND', `there is no task t-${id}`))
    if (record.kind !== 'live') return Promise.reject(new AppError('ALREADY_TERMINAL', 'the task has ended'))
    this.end(id, { status: 'cancelled' })
    return Promise.resolve('cancelled')
  }

  readIndex = (): Promise<void> => {
    this.readIndexCalls += 1
    try {
      this.#failIfAsked()
    } catch (error) {
      return Promise.reject(toAppError(error))
    }
    return Promise.resolve()
  }

  waitApplied = (index: number): Promise<boolean> => Promise.resolve(index <= this.applied + 1)

  task = (id: TaskId): TaskRecord =>
    this.retired.has(id) ? { kind: 'retired' } : (this.records.get(id) ?? { kind: 'unknown' })

  contents = (record: KnownTaskRecord): { input: Uint8Array; result: Uint8Array } => {
    const { input } = record.kind === 'live' ? record.task.spec : record.row.spec
    const result = record.kind === 'live' ? NO_BYTES : record.row.result
    return { input: input as Uint8Array, result: result as Uint8Array }
  }

  waitTask = (id: TaskId, timeoutMs: number, signal: AbortSignal): Promise<TaskRecord> =>
    new Promise((resolve) => {
      const answer = (): void => {
        clearTimeout(timer)
        this.#waiting.delete(look)
        resolve(this.task(id))
      }
      const look = (): void => {
        if (this.task(id).kind === 'ended') answer()
      }
      const timer = setTimeout(answer, timeoutMs)
      signal.addEventListener('abort', answer)
      this.#waiting.add(look)
      look()
    })

  tasks = ({ statuses, name, before, limit }: TaskQuery): Promise<TaskRecordPage> => {
    const all = [...this.records.values()].reverse().filter((record) => {
      const task = record.kind === 'live' ? record.task : record.row
      return (
        (statuses.length === 0 || statuses.includes(task.status)) &&
        (name === undefined || task.spec.name === name) &&
        (before === undefined || task.id < before)
      )
    })
    const records = all.slice(0, limit)
    const last = records.at(-1)
    const lastId = last?.kind === 'live' ? last.task.id : last?.row.id
    return Promise.resolve({ records, next: all.length > limit ? lastId : undefined })
  }

  logs = async function* (
    this: FakeNode,
    id: TaskId,
    { after, follow, signal }: LogQuery
  ): AsyncGenerator<LogChunk> {
    let position = after
    for (;;) {
      for (const chunk of this.chunks.get(id) ?? []) {
        const end = { attempt: chunk.attempt, offset: chunk.offset + chunk.bytes.length }
        if (!isAfter(end, position)) continue
        const skip = chunk.attempt === position.attempt ? Math.max(0, position.offset - chunk.offset) : 0
        position = end
        yield { ...chunk, offset: chunk.offset + skip, bytes: chunk.bytes.subarray(skip) }
      }
      if (!follow || this.task(id).kind === 'ended' || signal.aborted) return
      await this.#change(signal)
    }
  }

  explain = (id: TaskId): Explanation | undefined => {
    const record = this.records.get(id)
    if (record?.kind !== 'live') return undefined
    const { placement } = record.task
    if (placement !== undefined) return { type: 'placed', placement, copy: undefined }
    return { type: 'in-line', nodes: [{ node: nodeId(1), verdict: 'fits' }], readyTasks: 1 }
  }

  cluster = (): ClusterInfo => ({
    clusterId: '0123456789abcdef0123456789abcdef',
    node: { id: this.nodeId, role: 'follower' },
    leader: { id: nodeId(1), url: 'http://127.0.0.1:7400' },
    term: 3,
    commitIndex: this.applied,
    appliedIndex: this.applied,
    checksum: 'deadbeef',
    formatVersion: 1,
    stateTime: SUBMITTED_AT,
    tasks: { pending: 0, ready: this.records.size, placed: 0, running: 0, stopping: 0, ended: 0 },
    settings: { leaseMs: 10_000, policy: 'fifo', historyTasks: 1000, historyMs: 1000 },
    nodes: this.nodes()
  })

  nodes = (): NodeInfo[] => [
    {
      id: nodeId(1),
      peerId: '12D3KooWFake',
      role: 'leader',
      status: 'active',
      incarnation: 4,
      open: true,
      url: 'http://127.0.0.1:7400',
      addresses: ['/ip4/127.0.0.1/tcp/1'],
      zone: 'a',
      labels: { disk: 'ssd' },
      executors: ['js', 'shell'],
      handlers: ['resize'],
      slots: 8,
      usedSlots: 1,
      resources: { cpu: 8000 },
      usedResources: { cpu: 1000 },
      version: '0.1.0',
      joinedAt: SUBMITTED_AT
    }
  ]

  /** Numbers of the nodes that were told to leave. */
  readonly left: number[] = []
  leave = (id: NodeId): Promise<void> => {
    this.left.push(id)
    return Promise.resolve()
  }

  live = (): Health => ({ ok: true, checks: [] })
  ready = (): Health => ({
    ok: this.healthy,
    checks: [{ name: 'leader', ok: this.healthy, detail: 'node 1' }]
  })
  metrics = (): Promise<{ contentType: string; text: string }> =>
    Promise.resolve({ contentType: 'text/plain; version=0.0.4', text: 'dtss_applied_index 7\n' })

  /** Ends a live task. */
  end(id: TaskId, end: { status: TerminalStatus; result?: unknown; error?: TaskError }): void {
    const record = this.records.get(id)
    if (record?.kind !== 'live') throw new Error(`t-${id} is not live`)
    const { task } = record
    const row: HistoryRow = {
      id,
      group: task.group,
      spec: task.spec,
      status: end.status,
      submittedAt: task.submittedAt,
      readyAt: task.submittedAt,
      startedAt: timestampMs(task.submittedAt + 5),
      finishedAt: timestampMs(task.submittedAt + 25),
      attempts: 1,
      copies: 0,
      attempt: 1,
      node: nodeId(1),
      token: fencingToken(9),
      result: end.result === undefined ? NO_BYTES : new TextEncoder().encode(JSON.stringify(end.result)),
      error: end.error,
      runMs: durationMs(20),
      peakMemoryBytes: 1024
    }
    this.records.set(id, { kind: 'ended', row })
    this.#notify()
  }

  /** Marks a live task as running on node 1. */
  run(id: TaskId): void {
    const record = this.records.get(id)
    if (record?.kind !== 'live') throw new Error(`t-${id} is not live`)
    record.task.status = 'running'
    record.task.attempts = 1
    record.task.placement = {
      node: nodeId(1),
      incarnation: incarnation(4),
      token: fencingToken(9),
      attempt: 1,
      isCopy: false,
      placedAt: SUBMITTED_AT,
      startedAt: SUBMITTED_AT,
      stopReason: undefined
    }
  }

  /** Adds output at the end of an attempt's. */
  write(id: TaskId, output: string | Uint8Array, stream: 'stdout' | 'stderr' = 'stdout', attempt = 1): void {
    const bytes = typeof output === 'string' ? new TextEncoder().encode(output) : output
    const chunks = this.chunks.get(id) ?? []
    const offset = chunks
      .filter((chunk) => chunk.attempt === attempt)
      .reduce((sum, chunk) => sum + chunk.bytes.length, 0)
    this.chunks.set(id, [...chunks, { attempt, offset, stream, bytes, at: undefined }])
    this.#notify()
  }

  #failIfAsked(): void {
    const error = this.failNext
    this.failNext = undefined
    if (error !== undefined) throw error
  }

  #notify(): void {
    for (const look of [...this.#waiting]) look()
  }

  #change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#waiting.delete(done)
        resolve()
      }
      this.#waiting.add(done)
      signal.addEventListener('abort', done)
    })
  }
}

function isAfter(a: { attempt: number; offset: number }, b: { attempt: number; offset: number }): boolean {
  return a.attempt === b.attempt ? a.offset > b.offset : a.attempt > b.attempt
}

function liveTask(id: TaskId, group: TaskId, spec: TaskSpec): Task {
  return {
    id,
    group,
    spec,
    submittedAt: SUBMITTED_AT,
    status: 'ready',
    waitingOn: 0,
    dependents: [],
    pins: 0,
    notBefore: spec.notBefore,
    readyAt: SUBMITTED_AT,
    attempts: 0,
    uncounted: 0,
    copies: 0,
    lastToken: fencingToken(0),
    placement: undefined,
    copy: undefined,
    lastError: undefined,
    lastFailedOn: undefined,
    rowFlags: 0,
    hashA: 0,
    hashB: 0
  }
}

/** A server over a fake node, and what it logged as errors. */
export async function fakeServer(options: Partial<ServerOptions> = {}): Promise<{
  node: FakeNode
  app: Awaited<ReturnType<typeof createServer>>
  logged: Readonly<Record<string, unknown>>[]
}> {
  const node = new FakeNode()
  const logged: Readonly<Record<string, unknown>>[] = []
  const log = { error: (fields: Readonly<Record<string, unknown>>) => void logged.push(fields) }
  const app = await createServer({
    port: node,
    log,
    host: '127.0.0.1',
    version: '0.1.0',
    bootId: 'test',
    ...options
  })
  return { node, app, logged }
}
