import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

/** A TCP relay in front of an address that can swallow all bytes without closing anything, as a dead network does. */
export interface Plug {
  /** The multiaddress to dial instead. */
  readonly address: string
  pull(): void
  insert(): void
  close(): Promise<void>
}

export async function createPlug(target: string): Promise<Plug> {
  const port = Number(/\/tcp\/(\d+)/.exec(target)?.[1])
  const sockets = new Set<Socket>()
  let pulled = false
  const track = (socket: Socket, other: () => Socket): void => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('data', (bytes) => {
      if (!pulled) other().write(bytes)
    })
    socket.on('close', () => {
      sockets.delete(socket)
      if (!pulled) other().destroy()
    })
  }
  const server = createServer((inner) => {
    const outer = connect(port, '127.0.0.1')
    track(inner, () => outer)
    track(outer, () => inner)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const own = (server.address() as AddressInfo).port
  return {
    address: `/ip4/127.0.0.1/tcp/${own}`,
    pull: () => {
      pulled = true
    },
    insert: () => {
      pulled = false
    },
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    }
  }
}
