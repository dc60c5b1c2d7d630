/** The socket on which pool processes connect back to their node. Who connects must know its secret. */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FromPool, ToPool } from '../executors/js/protocol.ts'
import { createChannel } from './channel.ts'
import type { Channel } from './channel.ts'

/** Paths of sockets are short; a longer temporary folder cannot hold one. */
const MAX_PATH_LENGTH = 100

export interface PoolSocketHandlers {
  /** Says whose connection it is by what it must handle, or undefined to refuse it. */
  onHello(
    child: number,
    secret: string,
    channel: Channel<ToPool>
  ): { onMessage(message: FromPool): void; onClose(): void } | undefined
}

export interface PoolSocket {
  readonly path: string
  close(): void
}

/** Listens on a socket in a new folder that only this user can enter. */
export async function openPoolSocket(handlers: PoolSocketHandlers): Promise<PoolSocket> {
  const parent = tmpdir().length < MAX_PATH_LENGTH - 20 ? tmpdir() : '/tmp'
  const folder = mkdtempSync(join(parent, 'dtss-'))
  const path = join(folder, 's')
  const server = createServer((socket) => {
    accept(socket, handlers)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, resolve)
  })
  return {
    path,
    close: () => {
      server.close()
      rmSync(folder, { recursive: true, force: true })
    }
  }
}

function accept(socket: Socket, handlers: PoolSocketHandlers): void {
  let owner: ReturnType<PoolSocketHandlers['onHello']>
  const channel = createChannel<ToPool, FromPool>(socket, socket, {
    onMessage: (message) => {
      if (owner !== undefined) owner.onMessage(message)
      else if (message.type === 'hello') owner = handlers.onHello(message.child, message.secret, channel)
      if (owner === undefined) socket.destroy()
    },
    onClose: () => {
      owner?.onClose()
    }
  })
}
