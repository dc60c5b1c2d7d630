import { afterEach, expect, test } from 'vitest'
import { interruptible } from '../../../node/cli/lab/interruptible.ts'

const heard: string[] = []
const listener = (): void => {
  heard.push('on')
}
afterEach(() => {
  process.removeListener('SIGHUP', listener)
  heard.length = 0
})

test('during work that never yields nobody listens for signals, and afterwards those who did do', async () => {
  process.on('SIGHUP', listener)
  process.once('SIGHUP', () => heard.push('once'))
  expect(await interruptible(undefined, () => process.listenerCount('SIGHUP'))).toBe(0)
  await expect(
    interruptible(undefined, () => {
      throw new Error('failed')
    })
  ).rejects.toThrow('failed')
  process.emit('SIGHUP')
  process.emit('SIGHUP')
  expect(heard).toEqual(['on', 'once', 'on'])
})

test('a signal that came before is obeyed, and the work not begun', async () => {
  const interrupted = new AbortController()
  process.once('SIGHUP', () => {
    interrupted.abort(new Error('stopped'))
  })
  // What libuv has read of signals is told after a turn's immediates, so in the next turn.
  setImmediate(() =>
    setImmediate(() => {
      process.emit('SIGHUP')
    })
  )
  await expect(interruptible(interrupted.signal, () => heard.push('begun'))).rejects.toThrow('stopped')
  expect(heard).toEqual([])
})
