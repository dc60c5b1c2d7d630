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
import { createAttemptTable } from '../../runtime/supervisor/attempt-table.ts'
import type { Effect } from '../../runtime/supervisor/attempt-table.ts'
import type { Channel } from './channel.ts'
import { entryPoint } from './entry.ts'
import { MARK_VARIABLE } from './process-table.ts'
import type { FromSupervisor, SupervisorSettings, ToSupervisor } from './protocol.ts'
import { createShellRuns } from './shell-runs.ts'
import type { SpawnRecord } from './spawn-record.ts'
import { systemMonotonicMs } from './system-monotonic.ts'
import { createTreeReaper } from './tree-reaper.ts'
import type { Tree } from './tree-reaper.ts'
import type { Unit, UnitHost } from './unit.ts'

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
  const table = createAttemptTable<string>({ leaseMarginMs: settings.leaseMarginMs })
  const units = new Map<string, Unit>()
  const byTree = new Map<Tree, Unit>()
  let wakeTimer: NodeJS.Timeout | undefined
  let onEmpty: (() => void) | undefined

  const reaper = createTreeReaper((tree) => {
    const unit = byTree.get(tree)
    byTree.delete(tree)
    record.gone(tree.pid)
    if (unit !== undefined) settle(unit)
  })
  const settle = (unit: Unit): void => {
    unit.settle(() => {
      perform(table.gone(unit.key))
    })
  }
  const performOne = (effect: Effect<string>): void => {
    const unit = units.get(effect.key)
    if (unit === undefined) return
    switch (effect.type) {
      case 'launch':
        return
      case 'ask':
        if (unit.tree !== undefined) reaper.ask(unit.tree)
        return
      case 'watch':
      case 'kill':
        if (unit.tree === undefined) settle(unit)
        else if (effect.type === 'kill') reaper.kill(unit.tree)
        else reaper.watch(unit.tree)
        return
      case 'exit':
        units.delete(unit.key)
        unit.report(effect.ending)
    }
  }
  const perform = (effects: readonly Effect<string>[]): void => {
    for (const effect of effects) performOne(effect)
    clearTimeout(wakeTimer)
    const wakeAt = table.nextWake()
    if (wakeAt !== undefined) wakeTimer = setTimeout(tick, Math.ceil(wakeAt - systemMonotonicMs()))
    if (table.size === 0) onEmpty?.()
  }
  const tick = (): void => {
    perform(table.tick(systemMonotonicMs()))
  }
  const host: UnitHost = {
    channel,
    table,
    perform,
    environment: (key) => ({
      ...inherited(settings.environment),
      [MARK_VARIABLE]: `${record.mark}.${key}`
    }),
    register: (unit) => {
      units.set(unit.key, unit)
    },
    adopt: (unit, child) => {
      const { pid } = child
      if (pid === undefined) return
      const tree = reaper.track(pid, `${record.mark}.${unit.key}`)
      unit.tree = tree
      byTree.set(tree, unit)
      record.spawned(pid)
      child.once('exit', () => {
        reaper.rootEnded(tree)
        perform(table.ended(unit.key))
      })
    }
  }
  const beginShell = createShellRuns(host, settings.folder)
  const spawnPool = createPoolSpawner(host, settings)

  return {
    onMessage: (message) => {
      if (onEmpty !== undefined) return
      const now = systemMonotonicMs()
      switch (message.type) {
        case 'begin':
          beginShell(message.attempt, now)
          return
        case 'stop':
          perform(table.stop(`a${message.token}`, message.reason, now))
          return
        case 'lease':
          perform(table.extendLease(message.incarnation, message.deadline, now))
          return
        case 'end':
          perform(table.endIncarnation(message.incarnation))
          return
        case 'spawn':
          spawnPool(message, now)
          return
        case 'bind':
          table.rebind(`p${message.child}`, message.incarnation, message.hold ? 'continue' : 'kill')
          perform([])
          return
        case 'kill':
          perform(table.stop(`p${message.child}`, 'replace', now))
      }
    },
    shutDown: (done) => {
      onEmpty = done
      perform(table.killAll())
    }
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
