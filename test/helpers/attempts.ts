/** What tests of attempt hosts share: attempts as data, and a record of what a host said that can be waited on. */
import { fencingToken, incarnation, taskId } from '../../base/ids.ts'
import { durationMs } from '../../base/units.ts'
import type { AttemptExit, AttemptHandlers, AttemptStart } from '../../runtime/ports/attempt-host.ts'

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
export const json = (value: unknown): Uint8Array => utf8(JSON.stringify(value))
export const parsed = (bytes: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(bytes))

/** An attempt of incarnation 1 whose task has the token's number; `over` changes what a test is about. */
export function attempt(token: number, over: Partial<AttemptStart> = {}): AttemptStart {
  return {
    taskId: taskId(token),
    token: fencingToken(token),
    attempt: 1,
    incarnation: incarnation(1),
    name: 'test',
    executor: 'js',
    handler: 'ok',
    params: json({}),
    input: new Uint8Array(0),
    needs: {},
    startToCloseMs: durationMs(0),
    killGraceMs: durationMs(200),
    isolation: 'process',
    onLeaseLoss: 'kill',
    ...over
  }
}

/** A `shell` attempt that runs a command line, or a program. */
export function shell(
  token: number,
  command: string | readonly string[],
  over: Partial<AttemptStart> = {}
): AttemptStart {
  return attempt(token, { executor: 'shell', handler: '', params: json({ command }), ...over })
}

export interface HostRecord extends AttemptHandlers {
  readonly exits: AttemptExit[]
  readonly started: number[]
  readonly lost: unknown[]
  /** All output of one attempt, in order; `stream` narrows it. */
  output(token: number, stream?: 'stdout' | 'stderr'): string
  /** Called after each thing that is said. */
  readonly listeners: Set<() => void>
}

/** Remembers everything a host says. */
export function recordHost(): HostRecord {
  const outputs: { token: number; stream: string; bytes: Uint8Array }[] = []
  const listeners = new Set<() => void>()
  const changed = (): void => {
    for (const listener of listeners) listener()
  }
  const record: HostRecord = {
    exits: [],
    started: [],
    lost: [],
    listeners,
    output: (token, stream) => {
      const parts = outputs.filter((part) => part.token === token && (stream ?? part.stream) === part.stream)
      return Buffer.concat(parts.map(({ bytes }) => bytes)).toString('utf8')
    },
    onStarted: (token) => {
      record.started.push(token)
      changed()
    },
    onOutput: (token, stream, bytes) => {
      outputs.push({ token, stream, bytes })
      changed()
    },
    onExit: (exit) => {
      record.exits.push(exit)
      changed()
    },
    onLost: (error) => {
      record.lost.push(error)
      changed()
    }
  }
  return record
}

/** Resolves when the condition holds, looked at after each thing the host says. */
export function whenSaid(record: HostRecord, condition: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (!condition()) return
      record.listeners.delete(look)
      resolve()
    }
    record.listeners.add(look)
    look()
  })
}
