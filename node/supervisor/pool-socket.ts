/** The socket on which pool processes connect back to their node. Who connects must know its secret. */
import { createServer } from 'node:net'
import type { Socket } from 'node:net'
import type { FromPool, ToPool } from '../executors/js/protocol.ts'
import { createChannel } from './channel.ts'
import type { Channel } from './channel.ts'
import { makeSocketFolder, removeSocketFolder } from './socket-folder.ts'

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

/** Listens on a socket in a new folder that only this user can enter. `hostFolder`: where the host keeps what it must find again. */
export async function openPoolSocket(hostFolder: string, handlers: PoolSocketHandlers): Promise<PoolSocket> {
  const path = makeSocketFolder(hostFolder)
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
      removeSocketFolder(path)
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
