/**
 * The supervisor: a small process of its own that spawns everything a node executes and sees to its end. It drives the
 * rules of `runtime/supervisor` with real processes, one table for `shell` attempts and pool processes alike.
 *
 * It does not run user code, choose pool processes for attempts or know what a result means.
 *
 * 1. Before it says `ready`, nothing of a predecessor runs.
 * 2. When the node's channel ends, whatever the reason, everything is killed and this process exits.
 * 3. `exit` and `child-gone` are sent when the whole tree is gone.
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { createAttemptTable } from '../../runtime/supervisor/attempt-table.ts'
import type { AttemptTable, Effect } from '../../runtime/supervisor/attempt-table.ts'
import type { Channel } from './channel.ts'
import { entryPoint } from './entry.ts'
import { MARK_VARIABLE } from './process-table.ts'
import type { FromSupervisor, SupervisorSettings, ToSupervisor } from './protocol.ts'
import { createShellRuns } from './shell-runs.ts'
import type { SpawnRecord } from './spawn-record.ts'
import { systemMonotonicMs } from './system-monotonic.ts'
import { createTreeReaper } from './tree-reaper.ts'
import type { Tree, TreeReaper } from './tree-reaper.ts'
import type { Unit, UnitHost } from './unit.ts'

/** Node's timers count in 31 bits. */
const MAX_TIMER_MS = 2 ** 31 - 1

export interface Supervisor {
  onMessage(message: ToSupervisor): void
  /** Kills everything; `onEmpty` is called when nothing is left. */
  shutDown(onEmpty: () => void): void
}

/** A supervisor without attempts. `record` has been begun. */
export function createSupervisor(
  settings: SupervisorSettings,
  record: SpawnRecord,
  channel: Channel<FromSupervisor>
): Supervisor {
  return new RealSupervisor(settings, record, channel)
}

class RealSupervisor implements Supervisor, UnitHost {
  readonly channel: Channel<FromSupervisor>
  readonly table: AttemptTable<string>
  private readonly settings: SupervisorSettings
  private readonly record: SpawnRecord
  private readonly units = new Map<string, Unit>()
  private readonly byTree = new Map<Tree, Unit>()
  private readonly reaper: TreeReaper
  private readonly beginShell: ReturnType<typeof createShellRuns>
  private readonly spawnPool: ReturnType<typeof createPoolSpawner>
  private wakeTimer: NodeJS.Timeout | undefined
  private onEmpty: (() => void) | undefined

  constructor(settings: SupervisorSettings, record: SpawnRecord, channel: Channel<FromSupervisor>) {
    this.settings = settings
    this.record = record
    this.channel = channel
    this.table = createAttemptTable({ leaseMarginMs: settings.leaseMarginMs })
    this.reaper = createTreeReaper((tree) => {
      const unit = this.byTree.get(tree)
      this.byTree.delete(tree)
      record.gone(tree.pid)
      if (unit !== undefined) this.settle(unit)
    })
    this.beginShell = createShellRuns(this, settings.folder)
    this.spawnPool = createPoolSpawner(this, settings)
  }

  onMessage(message: ToSupervisor): void {
    if (this.onEmpty !== undefined) return
    const now = systemMonotonicMs()
    switch (message.type) {
      case 'begin':
        this.beginShell(message.attempt, now)
        return
      case 'stop':
        this.perform(this.table.stop(`a${message.token}`, message.reason, now))
        return
      case 'lease':
        this.perform(this.table.extendLease(message.incarnation, message.deadline, now))
        return
      case 'end':
        this.perform(this.table.endIncarnation(message.incarnation))
        return
      case 'spawn':
        this.spawnPool(message, now)
        return
      case 'bind':
        this.table.rebind(`p${message.child}`, message.incarnation, message.hold ? 'continue' : 'kill')
        this.perform([])
        return
      case 'kill':
        this.perform(this.table.stop(`p${message.child}`, 'replace', now))
    }
  }

  shutDown(onEmpty: () => void): void {
    this.onEmpty = onEmpty
    this.perform(this.table.killAll())
  }

  environment(key: string): Record<string, string> {
    return { ...inherited(this.settings.environment), [MARK_VARIABLE]: `${this.record.mark}.${key}` }
  }

  register(unit: Unit): void {
    this.units.set(unit.key, unit)
  }

  adopt(unit: Unit, child: ChildProcess): void {
    const { pid } = child
    if (pid === undefined) return
    const tree = this.reaper.track(pid, `${this.record.mark}.${unit.key}`)
    unit.tree = tree
    this.byTree.set(tree, unit)
    this.record.spawned(pid)
    child.once('exit', () => {
      this.reaper.rootEnded(tree)
      this.perform(this.table.ended(unit.key))
    })
  }

  perform(effects: readonly Effect<string>[]): void {
    for (const effect of effects) {
      const unit = this.units.get(effect.key)
      if (unit !== undefined) this.performOne(effect, unit)
    }
    clearTimeout(this.wakeTimer)
    const wakeAt = this.table.nextWake()
    if (wakeAt !== undefined) this.wakeAfter(wakeAt - systemMonotonicMs())
    if (this.table.size === 0) this.onEmpty?.()
  }

  private wakeAfter(delayMs: number): void {
    const tick = (): void => {
      this.perform(this.table.tick(systemMonotonicMs()))
    }
    this.wakeTimer = setTimeout(tick, Math.min(MAX_TIMER_MS, Math.max(0, Math.ceil(delayMs))))
  }

  private performOne(effect: Effect<string>, unit: Unit): void {
    switch (effect.type) {
      case 'launch':
        return
      case 'ask':
        if (unit.tree !== undefined) this.reaper.ask(unit.tree)
        return
      case 'watch':
      case 'kill':
        if (unit.tree === undefined) this.settle(unit)
        else if (effect.type === 'kill') this.reaper.kill(unit.tree)
        else this.reaper.watch(unit.tree)
        return
      case 'exit':
        this.units.delete(unit.key)
        unit.report(effect.ending)
    }
  }

  private settle(unit: Unit): void {
    unit.settle(() => {
      this.perform(this.table.gone(unit.key))
    })
  }
}

/** Pool processes have no grace: whoever wants one asks the handler itself, over the process's own channel. */
function createPoolSpawner(
  host: UnitHost,
  settings: SupervisorSettings
): (message: Extract<ToSupervisor, { type: 'spawn' }>, now: number) => void {
  return ({ child: number, role, secret }, now) => {
    const key = `p${number}`
    host.table.begin({ key, incarnation: 0, startToCloseMs: 0, killGraceMs: 0, onLeaseLoss: 'kill' }, now)
    const child = spawn(
      process.execPath,
      [entryPoint('node/executors/js/pool-main'), settings.socketPath, String(number), role],
      {
        env: { ...host.environment(key), DTSS_POOL_SECRET: secret },
        detached: true,
        stdio: ['ignore', 'pipe', 'pipe']
      }
    )
    let exit: { code: number | null; signal: string | null } = { code: null, signal: null }
    const unit: Unit = {
      key,
      tree: undefined,
      settle: (done) => {
        done()
      },
      report: (ending) => {
        const lapsed = ending.type === 'stopped' && ending.reason === 'lease'
        const peakMemoryBytes = unit.tree?.peakMemoryBytes ?? 0
        host.channel.send({ type: 'child-gone', child: number, ...exit, lapsed, peakMemoryBytes })
      }
    }
    child.once('exit', (code, signal) => {
      exit = { code, signal }
    })
    child.once('error', () => {
      host.perform(host.table.ended(key))
    })
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream].on('data', (bytes: Buffer) => {
        host.channel.send({ type: 'child-output', child: number, stream, bytes })
      })
    }
    host.register(unit)
    host.adopt(unit, child)
    host.perform(host.table.launched(key, now))
  }
}

function inherited(names: readonly string[]): Record<string, string> {
  const environment: Record<string, string> = {}
  for (const name of names) {
    const value = process.env[name]
    if (value !== undefined) environment[name] = value
  }
  return environment
}
