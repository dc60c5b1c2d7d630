/**
 * What every attempt of the demonstration does, as a js handler or as a program of its own: it says that it lives, every
 * 50 ms, in a file outside of the cluster, and writes to a resource that checks fencing tokens at its start and its end.
 */
import { appendFileSync } from 'node:fs'
import { connect } from 'node:net'

/** The input of a task. */
export interface WorkInput {
  /** Where lines go. */
  readonly file: string
  /** Socket of the resource. */
  readonly store: string
  readonly runMs: number
  /** Whether the attempt is meant to fail at its end. */
  readonly fails: boolean
}

/** One line of the file. */
export interface WorkLine {
  readonly task: string
  readonly token: number
  /** CLOCK_MONOTONIC in milliseconds, the same for all processes of a machine. */
  readonly at: number
  readonly mark: 'start' | 'beat' | 'end'
}

/** One write to the resource, as it is sent. */
export interface EffectRequest {
  readonly task: string
  readonly token: number
}

const BEAT_MS = 50

export function monotonicNow(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000
}

/** Runs one attempt; rejects when it is told to stop, or when the resource refuses its token. */
export async function work(input: WorkInput, who: EffectRequest, signal?: AbortSignal): Promise<void> {
  const say = (mark: WorkLine['mark']): void => {
    const line: WorkLine = { task: who.task, token: who.token, at: monotonicNow(), mark }
    // One write in append mode: lines of different processes never mix.
    appendFileSync(input.file, `${JSON.stringify(line)}\n`)
  }
  say('start')
  const endsAt = monotonicNow() + input.runMs
  await effect(input.store, who)
  while (monotonicNow() < endsAt) {
    await new Promise((resolve) => setTimeout(resolve, BEAT_MS))
    signal?.throwIfAborted()
    say('beat')
  }
  await effect(input.store, who)
  say('end')
}

/** Writes to the resource; rejects when it refuses the token. */
async function effect(store: string, request: EffectRequest): Promise<void> {
  const reply = await new Promise<string>((resolve, reject) => {
    const socket = connect(store)
    let text = ''
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => {
      text += chunk
    })
    socket.once('error', reject)
    socket.once('end', () => {
      resolve(text)
    })
    socket.write(`${JSON.stringify(request)}\n`)
  })
  if (reply !== 'accepted') throw new Error(`the resource ${reply} token ${request.token} of ${request.task}`)
}
