/**
 * The load: tasks of both executors, some of them meant to fail, submitted before and all through a fault; and the
 * account of what was acknowledged and what became of it.
 */
import { fileURLToPath } from 'node:url'
import { createClient, type Client, type TaskRequest, type TaskView } from '../../client/index.ts'
import type { WorkInput } from './work.ts'

const SCRIPT = fileURLToPath(new URL('./shell-attempt.js', import.meta.url))
const SUBMIT_INTERVAL_MS = 250
/** Every so many tasks one is meant to fail. */
const FAILS_EVERY = 15
const READ_AT_ONCE = 16

/** An acknowledged task and how it is meant to end. */
export interface Acknowledged {
  readonly id: string
  readonly fails: boolean
}

/** How the acknowledged tasks ended. */
export interface Account {
  readonly ends: ReadonlyMap<string, TaskView>
  /** Acknowledged tasks that are unknown or did not end as they were meant to. */
  readonly lost: readonly string[]
}

export class Load {
  readonly acknowledged: Acknowledged[] = []
  readonly #clients: () => Client
  readonly #place: Pick<WorkInput, 'file' | 'store'>
  #count = 0
  #submitting: Promise<void> | undefined
  #stopped = false

  constructor(urls: () => readonly string[], place: Pick<WorkInput, 'file' | 'store'>) {
    this.#clients = () => createClient({ urls: urls(), retries: 40, timeoutMs: 3_000 })
    this.#place = place
  }

  /** Whether the task may end with its first attempt, however that ends: nothing runs it again. */
  isMeantToFail(task: string): boolean {
    return this.acknowledged.some(({ id, fails }) => fails && id === task)
  }

  /** Submits so many tasks as one batch. */
  async batch(count: number): Promise<void> {
    const tasks = Array.from({ length: count }, () => this.#next())
    const { ids } = await this.#clients().submitMany(tasks.map(({ request }) => request))
    for (const [index, id] of ids.entries())
      this.acknowledged.push({ id, fails: tasks[index]?.fails === true })
  }

  /** From now on one task after the other is submitted, whatever happens to the cluster. */
  trickle(): void {
    this.#stopped = false
    this.#submitting = this.#trickle()
    // A failure is told by `stopTrickle`, which always follows.
    this.#submitting.catch(() => undefined)
  }

  async stopTrickle(): Promise<void> {
    this.#stopped = true
    await this.#submitting
  }

  /** Waits for the ends of all acknowledged tasks, at most until `deadline` (of `performance.now()`). */
  async account(deadline: number): Promise<Account> {
    const client = this.#clients()
    const ends = new Map<string, TaskView>()
    const lost: string[] = []
    const queue = [...this.acknowledged]
    const reader = async (): Promise<void> => {
      for (let task = queue.shift(); task !== undefined; task = queue.shift()) {
        const { id, fails } = task
        const timeoutMs = Math.max(1, deadline - performance.now())
        const end = await client.wait(id, { timeoutMs }).catch((error: unknown) => String(error))
        if (typeof end === 'string') lost.push(`${id}: ${end}`)
        else {
          ends.set(id, end)
          const meant = fails ? 'failed' : 'succeeded'
          if (end.status !== meant) {
            lost.push(`${id}: got ${end.status} (${end.error?.code ?? ''}), expected ${meant}`)
          }
        }
      }
    }
    await Promise.all(Array.from({ length: READ_AT_ONCE }, reader))
    return { ends, lost }
  }

  async #trickle(): Promise<void> {
    const client = this.#clients()
    while (!this.#stopped) {
      const { request, fails } = this.#next()
      const { id } = await client.submit(request)
      this.acknowledged.push({ id, fails })
      await new Promise((resolve) => setTimeout(resolve, SUBMIT_INTERVAL_MS))
    }
  }

  #next(): { readonly request: TaskRequest; readonly fails: boolean } {
    const number = (this.#count += 1)
    const fails = number % FAILS_EVERY === 0
    const input: WorkInput = { ...this.#place, runMs: 3_000 + ((number * 97) % 1_500), fails }
    const how: TaskRequest =
      number % 2 === 0
        ? { handler: 'failover.attempt' }
        : { command: `"${process.execPath}" "${SCRIPT}"; exit $?` }
    const retry = fails && number % 2 !== 0 ? FAILS_AT_ONCE : OFTEN
    return { fails, request: { ...how, name: `load-${number}`, input, retry, killGraceMs: 1_000 } }
  }
}

const OFTEN = { maxAttempts: 50, baseDelayMs: 100, maxDelayMs: 500 }
/** A program that fails is tried again, so one that is meant to gets a single attempt. */
const FAILS_AT_ONCE = { maxAttempts: 1 }
