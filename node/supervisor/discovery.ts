import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import { AppError } from '../../base/errors.ts'
import type { FromPool, HandlerEntry, ToPool } from '../executors/js/protocol.ts'
import type { Channel } from './channel.ts'
import type { ToSupervisor } from './protocol.ts'

/** A module may take long to load, but not forever: the node waits for the list before it announces itself. */
const DISCOVERY_MS = 60_000

/** One listing of a handlers folder, in a process of its own. */
export interface Discoverer {
  /** The process's number. */
  readonly child: number
  /** Rejects with `CONFIG_INVALID` when the process died or took too long. */
  readonly result: Promise<{
    readonly handlers: readonly HandlerEntry[]
    readonly problems: readonly { readonly file: string; readonly message: string }[]
  }>
  connect(
    secret: string,
    channel: Channel<ToPool>
  ): { onMessage(message: FromPool): void; onClose(): void } | undefined
  /** The process is gone. */
  gone(): void
}

/** Has the supervisor start the process; compiled modules go below `folder` when the handlers' own cannot be written. */
export function discoverInProcess(
  child: number,
  handlersFolder: string,
  folder: string,
  tell: (message: ToSupervisor) => void
): Discoverer {
  const expected = randomBytes(16).toString('hex')
  const { promise, resolve, reject } = deferred<Awaited<Discoverer['result']>>()
  const fail = (how: string): void => {
    clearTimeout(timer)
    reject(new AppError('CONFIG_INVALID', `the handlers in ${handlersFolder} could not be listed: ${how}`))
  }
  const timer = setTimeout(() => {
    tell({ type: 'kill', child })
    fail(`it took longer than ${DISCOVERY_MS} ms`)
  }, DISCOVERY_MS)
  tell({ type: 'spawn', child, role: 'discover', secret: expected })
  return {
    child,
    result: promise,
    connect: (secret, channel) => {
      if (secret !== expected) return undefined
      channel.send({ type: 'discover', folder: handlersFolder, cacheFolder: join(folder, 'compiled') })
      return {
        onMessage: (message) => {
          if (message.type !== 'discovered') return
          clearTimeout(timer)
          resolve(message)
          // A module may keep its process alive.
          tell({ type: 'kill', child })
        },
        onClose: () => undefined
      }
    },
    gone: () => {
      fail('the process ended')
    }
  }
}

function deferred<T>(): {
  promise: Promise<T>
  resolve: (value: T) => void
  reject: (error: Error) => void
} {
  let resolve: (value: T) => void = () => undefined
  let reject: (error: Error) => void = () => undefined
  const promise = new Promise<T>((onValue, onError) => {
    resolve = onValue
    reject = onError
  })
  return { promise, resolve, reject }
}
