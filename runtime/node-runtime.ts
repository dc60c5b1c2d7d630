/**
 * One node of the cluster over its ports: the same code runs in production and under the simulator.
 *
 * Owns a node's life (open, start, stop) and what the outside may ask of it. How the parts work together stands in
 * `node-core.ts`.
 */
import { AppError } from '../base/errors.ts'
import type { NodeId, TaskId } from '../base/ids.ts'
import type { RaftStatus } from '../consensus/index.ts'
import type { SchedulerState } from '../scheduler/state.ts'
import type { HistoryRow, OutcomeValue } from '../scheduler/types.ts'
import { checkRuntimeConfig } from './config.ts'
import { AttemptLogs, type LogChunk, type LogPosition } from './execution/attempt-logs.ts'
import { readBlob } from './execution/prepare.ts'
import { successor } from './leader/leadership.ts'
import type { PolicyStatus } from './leader/policy-desk.ts'
import { NodeCore } from './node-core.ts'
import { attemptHandlers, transportHandlers } from './port-handlers.ts'
import type { Store } from './ports/store.ts'
import type { Draft } from './proposals/forwarder.ts'
import type { LoopMetrics } from './raft/raft-loop.ts'
import type { RuntimeOptions } from './runtime-options.ts'
import { LOCAL_STORE, openLog, positionSnapshot } from './storage/open-log.ts'
import type { WalMetrics } from './wal/wal.ts'

export type { RuntimeOptions } from './runtime-options.ts'

/** Figures of a node since its start. */
export interface NodeMetrics extends LoopMetrics {
  /** Attempts running now. */
  readonly running: number
  /** Proposals that wait for their outcome. */
  readonly outstanding: number
  readonly wal: WalMetrics
}

/** Election timeouts without a leader after which a stopping node waits for none. */
const LEADERLESS_ELECTIONS = 4

export class NodeRuntime {
  readonly nodeId: NodeId
  readonly #options: RuntimeOptions
  readonly #core: NodeCore
  #phase: 'opened' | 'running' | 'stopping' | 'stopped' = 'opened'

  /** Opens the node's data; rejects with a coded error when it is damaged, foreign, in use or of another version. */
  static async open(options: RuntimeOptions): Promise<NodeRuntime> {
    const { config, ports, folder } = options
    checkRuntimeConfig(config)
    let core: NodeCore | undefined
    // The local store's lock comes first: whoever holds it may touch the log.
    const local = await ports.stores.open(LOCAL_STORE)
    try {
      const opened = await openLog({
        ...ports,
        config,
        folder,
        ...(options.segmentBytes === undefined ? {} : { segmentBytes: options.segmentBytes }),
        walEvents: {
          onFailure: (error) => {
            core?.fail(error)
          },
          onFull: (full) => {
            core?.diskFull(full)
          }
        },
        snapshotSource: () =>
          core === undefined ? 'temporarily-unavailable' : positionSnapshot(core.materializer.durable)
      })
      core = new NodeCore(options, opened, new AttemptLogs(local))
      return new NodeRuntime(options, core)
    } catch (error) {
      await local.close()
      throw error
    }
  }

  private constructor(options: RuntimeOptions, core: NodeCore) {
    this.nodeId = options.config.nodeId
    this.#options = options
    this.#core = core
  }

  /** Joins in: starts the attempt host, the network and the turns. `url` is where this node's HTTP API listens. */
  async start(url: string): Promise<void> {
    const { ports, config } = this.#options
    const core = this.#core
    core.listensAt(url)
    ports.transport.identify({ clusterId: config.clusterId, nodeId: config.nodeId })
    await ports.host.start(attemptHandlers(core, ports.clock))
    await ports.transport.start(transportHandlers(core, ports.logger))
    core.book.update(this.state.nodes)
    this.#phase = 'running'
    core.loop.start()
    core.keeper.start()
    core.desk.greet()
  }

  /**
   * Stops in order: ends this node's attempts, tells the log, hands leadership over, makes the state durable. Waits at
   * most `timeoutMs` for what needs others, and less when there is no leader to hear it; without them it stops all the
   * same, and they learn of it by its lease.
   */
  async stop(timeoutMs: number): Promise<void> {
    if (this.#phase !== 'running') return
    this.#phase = 'stopping'
    const core = this.#core
    const { ports } = this.#options
    const deadline = ports.clock.monotonicNow() + timeoutMs
    await core.keeper.stop()
    await this.#until(() => this.state.nodes.get(this.nodeId)?.open !== true, deadline)
    const heir = core.leadership.reigning ? successor(core.loop.status()) : undefined
    if (heir !== undefined) {
      core.loop.transferLeader(heir)
      await this.#until(() => core.loop.role !== 'leader', deadline)
    }
    core.forwarder.close('SHUTTING_DOWN', 'the node is stopping')
    core.reads.close()
    core.waiters.releaseAll()
    await this.#close()
  }

  /** Gives up a node that was opened and not started, or whose start failed: frees its folder, its ports, its processes. */
  async abandon(): Promise<void> {
    if (this.#phase === 'opened') await this.#close()
  }

  async #close(): Promise<void> {
    const core = this.#core
    const { ports } = this.#options
    core.loop.stop()
    this.#phase = 'stopped'
    await ports.transport.stop()
    await ports.host.close()
    await core.materializer.flush()
    const store = await core.materializer.detach()
    await store.close()
    await core.logs.close()
    await core.opened.wal.close()
  }

  get state(): SchedulerState {
    return this.#core.state
  }

  get phase(): 'opened' | 'running' | 'stopping' | 'stopped' {
    return this.#phase
  }

  get appliedIndex(): number {
    return this.#core.appliedIndex
  }

  get leader(): NodeId | undefined {
    return this.#core.loop.leader
  }

  /** Whether this node leads and has applied an entry of its own term. */
  get reigning(): boolean {
    return this.#core.leadership.reigning
  }

  /** Whether the log knows this node's incarnation, so that it can propose and run attempts. */
  get open(): boolean {
    return this.#core.keeper.phase === 'open'
  }

  /** Whether applying an entry failed, so that this node's state stands still. */
  get applyFailed(): boolean {
    return this.#core.loop.applyFailed
  }

  metrics(): NodeMetrics {
    const { loop, reconciler, forwarder, opened } = this.#core
    return {
      ...loop.metrics,
      running: reconciler.running,
      outstanding: forwarder.outstanding,
      wal: opened.wal.metrics()
    }
  }

  raftStatus(): RaftStatus {
    return this.#core.loop.status()
  }

  get term(): number {
    return this.#core.loop.term
  }

  /** Whether this node has the role of the leader, reigning or not. */
  get leads(): boolean {
    return this.#core.loop.role === 'leader'
  }

  get committed(): number {
    return this.#core.loop.committed
  }

  /** Which policy places while this node leads, and what its decisions cost. */
  get policyStatus(): PolicyStatus {
    return this.#core.leadership.policyStatus
  }

  /** Milliseconds left of a node's lease in the leader's view; undefined on other nodes. */
  leaseRemainingMs(node: NodeId): number | undefined {
    return this.#core.leadership.leaseRemainingMs(node)
  }

  /** The state's checksum and the index that it stands for; makes the state durable first. */
  async checksum(): Promise<{ readonly index: number; readonly checksum: string }> {
    const { materializer } = this.#core
    await materializer.flush()
    return { index: materializer.durable.index, checksum: materializer.checksum }
  }

  /** Proposes; resolves with the outcome once this node has applied it. */
  propose(draft: Draft, timeoutMs: number): Promise<OutcomeValue> {
    if (this.#phase !== 'running') return Promise.reject(notRunning())
    const outcome = this.#core.forwarder.propose(draft, timeoutMs)
    this.#core.loop.schedule()
    return outcome
  }

  /** Resolves when local reads see everything that was acknowledged anywhere before the call. */
  readBarrier(timeoutMs: number): Promise<void> {
    if (this.#phase !== 'running') return Promise.reject(notRunning())
    const barrier = this.#core.reads.barrier(timeoutMs)
    this.#core.loop.schedule()
    return barrier
  }

  /** Resolves to whether this node has applied `index` in time. */
  waitApplied(index: number, timeoutMs: number): Promise<boolean> {
    return this.#core.reads.waitApplied(index, timeoutMs)
  }

  /** Resolves when the task has ended, the time is over or the signal is aborted. */
  waitTask(id: TaskId, timeoutMs: number, signal?: AbortSignal): Promise<void> {
    if (!this.state.tasks.has(id)) return Promise.resolve()
    return this.#core.waiters.wait(id, timeoutMs, signal)
  }

  history(id: TaskId): Promise<HistoryRow | undefined> {
    return this.#core.materializer.history(id)
  }

  /** The bytes of a task's input, live or ended. */
  async input(task: Pick<HistoryRow, 'id'> & { readonly spec: HistoryRow['spec'] }): Promise<Uint8Array> {
    return await readBlob(this.#core.materializer, task.id, 'input', task.spec.input)
  }

  /** The bytes of an ended task's result. */
  async result(row: HistoryRow): Promise<Uint8Array> {
    return await readBlob(this.#core.materializer, row.id, 'result', row.result)
  }

  /** Rows of the state store, for listings; `flush` first to see the last moments too. */
  get store(): Store {
    return this.#core.materializer.store
  }

  flush(): Promise<void> {
    return this.#core.materializer.flush()
  }

  /** A task's output from every member that has any, in order. */
  readLogs(task: TaskId, after: LogPosition, maxBytes: number): Promise<LogChunk[]> {
    return this.#core.desk.readLogs(task, after, maxBytes)
  }

  /** Calls `listener` when output of the task is added on this node; returns how to stop. */
  watchLogs(task: TaskId, listener: () => void): () => void {
    return this.#core.logs.watch(task, listener)
  }

  transferLeader(to: NodeId): void {
    this.#core.loop.transferLeader(to)
  }

  async #until(condition: () => boolean, deadline: number): Promise<void> {
    const { clock, timers } = this.#options.ports
    const { tickMs, electionTicks } = this.#options.config.timing
    const { loop } = this.#core
    // The others may be stopping too: when there is none that leads, and none comes, nobody is left to wait for.
    const patienceMs = LEADERLESS_ELECTIONS * electionTicks * tickMs
    let ledAt = clock.monotonicNow()
    loop.schedule()
    while (!condition() && !this.#core.failed) {
      const now = clock.monotonicNow()
      if (loop.leader !== undefined) ledAt = now
      if (now >= deadline || now - ledAt >= patienceMs) return
      await new Promise<void>((resolve) => {
        timers.after(tickMs, resolve)
      })
    }
  }
}

function notRunning(): AppError {
  return new AppError('SHUTTING_DOWN', 'the node is not running')
}
