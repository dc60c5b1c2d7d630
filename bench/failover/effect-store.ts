/**
 * A resource that checks fencing tokens, as a user's database would: it keeps the highest token seen of each task and
 * refuses lower ones. It keeps a file of what it accepted, in order, which is audited independently of its own rule.
 */
import { appendFileSync, readFileSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import type { EffectRequest } from './work.ts'

export class EffectStore {
  readonly #server: Server
  readonly #file: string
  readonly #highest = new Map<string, number>()
  #refused = 0

  private constructor(file: string) {
    this.#file = file
    this.#server = createServer((socket) => {
      this.#serve(socket)
    })
  }

  static async open(socketPath: string, file: string): Promise<EffectStore> {
    const store = new EffectStore(file)
    await new Promise<void>((resolve, reject) => {
      store.#server.once('error', reject)
      store.#server.listen(socketPath, resolve)
    })
    return store
  }

  /** Writes with an old token that were refused. */
  get refused(): number {
    return this.#refused
  }

  /** Writes that the file shows as accepted although a higher token of the same task was accepted before them. */
  auditStale(): number {
    const seen = new Map<string, number>()
    let stale = 0
    for (const { task, token } of readLines<EffectRequest>(this.#file)) {
      if (token < (seen.get(task) ?? 0)) stale += 1
      else seen.set(task, token)
    }
    return stale
  }

  close(): void {
    this.#server.close()
  }

  #serve(socket: Socket): void {
    // The attempt may be killed while it waits for the answer.
    socket.on('error', () => {
      socket.destroy()
    })
    let text = ''
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      if (!text.endsWith('\n')) return
      socket.end(this.#take(JSON.parse(text) as EffectRequest) ? 'accepted' : 'refused')
    })
  }

  #take({ task, token }: EffectRequest): boolean {
    if (token < (this.#highest.get(task) ?? 0)) {
      this.#refused += 1
      return false
    }
    this.#highest.set(task, token)
    appendFileSync(this.#file, `${JSON.stringify({ task, token })}\n`)
    return true
  }
}

function readLines<T>(file: string): T[] {
  const lines = readFileSync(file, 'utf8').split('\n')
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as T)
}
