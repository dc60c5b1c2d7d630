/** `shell` attempts inside the supervisor: from the message that begins one to the message that reports its end. */
import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { LIMITS } from '../../base/limits.ts'
import { KiB, MiB, durationMs, timestampMs } from '../../base/units.ts'
import type { AttemptExit, AttemptStart } from '../../runtime/ports/attempt-host.ts'
import type { Ending } from '../../runtime/supervisor/attempt-table.ts'
import { attemptExit } from '../../runtime/supervisor/exit.ts'
import type { NaturalEnd } from '../../runtime/supervisor/exit.ts'
import { createScratch, spawnCommand, spawnFailure } from '../executors/shell/command.ts'
import type { Scratch } from '../executors/shell/command.ts'
import { parseShellParams } from '../executors/shell/params.ts'
import type { ShellParams } from '../executors/shell/params.ts'
import { createTail, shellOutcome } from '../executors/shell/result.ts'
import { systemMonotonicMs } from './system-monotonic.ts'
import type { Unit, UnitHost } from './unit.ts'

/** While this much waits for the node, commands are not read: their pipes fill up and they wait. */
const PAUSE_ABOVE_BYTES = 1 * MiB
/** How long to wait for the end of the output once the tree is gone: someone unknown may hold the pipe open. */
const OUTPUT_END_MS = 1000
const STDERR_TAIL_BYTES = 2 * KiB

/** Starts `shell` attempts for a supervisor; `folder` is where their scratch folders go. */
export function createShellRuns(
  host: UnitHost,
  folder: string
): (attempt: AttemptStart, now: number) => void {
  const scratchFolder = join(folder, 'scratch')
  return (attempt, now) => {
    const run = new ShellRun(host, attempt, now)
    host.register(run)
    const { key } = run
    const { incarnation, startToCloseMs, killGraceMs, onLeaseLoss } = attempt
    const effects = host.table.begin({ key, incarnation, startToCloseMs, killGraceMs, onLeaseLoss }, now)
    if (effects[0]?.type === 'launch') run.launch(scratchFolder)
    else host.perform(effects)
  }
}

class ShellRun implements Unit {
  readonly key: string
  tree: Unit['tree']
  private readonly stdout = createTail(LIMITS.taskResultBytes)
  private readonly stderr = createTail(STDERR_TAIL_BYTES)
  private readonly startedAt = Date.now()
  private readonly host: UnitHost
  private readonly attempt: AttemptStart
  private readonly startedMono: number
  private scratch: Scratch | undefined
  private child: ChildProcess | undefined
  private natural: NaturalEnd | undefined

  constructor(host: UnitHost, attempt: AttemptStart, now: number) {
    this.key = `a${attempt.token}`
    this.host = host
    this.attempt = attempt
    this.startedMono = now
  }

  launch(scratchFolder: string): void {
    const params = parseShellParams(this.attempt.params)
    if (typeof params === 'string') {
      this.abandon({
        outcome: 'failed',
        error: { code: 'INVALID_PARAMS', message: params, retryable: false }
      })
      return
    }
    try {
      const scratch = createScratch(scratchFolder, this.attempt)
      this.scratch = scratch
      const env = { ...this.host.environment(this.key), ...params.env, ...scratch.env }
      this.follow(spawnCommand(params, scratch, env), params)
    } catch (error) {
      // No room or right to write the scratch folder, or an argument that no process can be given.
      this.abandon(this.spawnEnd(error as NodeJS.ErrnoException, params))
    }
  }

  settle(done: () => void): void {
    if (this.child === undefined) done()
    else whenOutputEnded(this.child, done)
  }

  report(ending: Ending): void {
    const finished = systemMonotonicMs()
    const exit: AttemptExit = attemptExit(
      {
        token: this.attempt.token,
        startedAt: timestampMs(this.startedAt),
        finishedAt: timestampMs(Date.now()),
        runMs: durationMs(finished - this.startedMono),
        peakMemoryBytes: this.tree?.peakMemoryBytes ?? 0
      },
      ending,
      ending.type === 'itself' ? this.outcome() : this.natural
    )
    this.scratch?.remove()
    this.host.channel.send({ type: 'exit', exit })
  }

  private follow(child: ChildProcess, params: ShellParams): void {
    if (child.pid === undefined) {
      child.once('error', (error) => {
        this.abandon(this.spawnEnd(error, params))
      })
      return
    }
    this.child = child
    this.host.adopt(this, child)
    const { token, input } = this.attempt
    this.host.channel.send({ type: 'started', token, startedAt: this.startedAt })
    this.host.perform(this.host.table.launched(this.key, systemMonotonicMs()))
    // A command that does not read its input closes it early, which is its right.
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(input)
    for (const stream of ['stdout', 'stderr'] as const) this.pump(stream, child[stream])
  }

  private pump(stream: 'stdout' | 'stderr', source: Readable | null): void {
    source?.on('data', (bytes: Buffer) => {
      this[stream].push(bytes)
      this.host.channel.send({ type: 'output', token: this.attempt.token, stream, bytes })
      if (this.host.channel.queuedBytes() < PAUSE_ABOVE_BYTES) return
      source.pause()
      this.host.channel.onDrain(() => {
        source.resume()
      })
    })
    source?.on('error', () => undefined)
  }

  private spawnEnd(error: NodeJS.ErrnoException, params: ShellParams): NaturalEnd {
    const { ofNode, message } = spawnFailure(error, params)
    const outcome = ofNode ? 'not-started' : 'failed'
    return { outcome, error: { code: 'SPAWN_FAILED', message, retryable: ofNode } }
  }

  /** There is no process and will be none. */
  private abandon(natural: NaturalEnd): void {
    this.natural = natural
    this.host.perform(
      natural.outcome === 'not-started'
        ? this.host.table.withdrawn(this.key)
        : this.host.table.ended(this.key, { beforeAsk: true })
    )
  }

  private outcome(): NaturalEnd {
    if (this.natural !== undefined) return this.natural
    const { exitCode: code = null, signalCode: signal = null } = this.child ?? {}
    return shellOutcome({ code, signal }, this.scratch?.resultFile ?? '', this.stdout, this.stderr)
  }
}

function whenOutputEnded(child: ChildProcess, done: () => void): void {
  let open = 1
  const oneEnded = (): void => {
    open -= 1
    if (open > 0) return
    clearTimeout(timer)
    done()
  }
  const sources = [child.stdout, child.stderr].filter((source) => source?.closed === false)
  const giveUp = (): void => {
    // Output that waits for the node is not lost for that: only a pipe that is read and never ends is given up.
    if (sources.some((source) => source?.isPaused() === true)) timer.refresh()
    else for (const source of sources) source?.destroy()
  }
  const timer = setTimeout(giveUp, OUTPUT_END_MS)
  for (const source of sources) {
    open += 1
    source?.once('close', oneEnded)
  }
  oneEnded()
}
