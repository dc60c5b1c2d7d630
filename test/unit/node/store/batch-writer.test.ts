import { expect, test } from 'vitest'
import { createBatchWriter } from '../../../../node/store/batch-writer.ts'
import type { StoreOperation } from '../../../../runtime/ports/store.ts'

const put = (key: number): StoreOperation => ({
  type: 'put',
  key: Uint8Array.from([key]),
  value: new Uint8Array()
})

function recorder(fail: (write: number) => boolean = () => false) {
  const writes: { keys: number[]; sync: boolean; finish: () => void }[] = []
  const writer = createBatchWriter(async (operations, { sync }) => {
    const number = writes.length
    await new Promise<void>((resolve) => {
      writes.push({ keys: operations.map((operation) => operation.key[0]!), sync, finish: resolve })
    })
    if (fail(number)) throw new Error('disk')
  })
  return { writes, writer }
}

test('batches that arrive during a write go together in the next, in order', async () => {
  const { writes, writer } = recorder()
  const first = writer([put(1)], false)
  const second = writer([put(2), put(3)], false)
  const third = writer([put(4)], true)
  expect(writes.map((write) => write.keys)).toEqual([[1]])
  writes[0]!.finish()
  await first
  expect(writes.map((write) => [write.keys, write.sync])).toEqual([
    [[1], false],
    [[2, 3, 4], true]
  ])
  writes[1]!.finish()
  await Promise.all([second, third])
})

test('a write has a bounded number of operations, but never part of a batch', async () => {
  const { writes, writer } = recorder()
  const big = Array.from({ length: 15_000 }, () => put(1))
  const done = [writer([put(0)], false), writer(big, false), writer(big, false)]
  writes[0]!.finish()
  await done[0]
  expect(writes[1]!.keys).toHaveLength(15_000)
  writes[1]!.finish()
  await done[1]
  expect(writes[2]!.keys).toHaveLength(15_000)
  writes[2]!.finish()
  await done[2]
})

test('nothing is written after a failed write', async () => {
  const { writes, writer } = recorder((write) => write === 0)
  const first = writer([put(1)], false)
  const second = writer([put(2)], false)
  writes[0]!.finish()
  await expect(first).rejects.toThrow('disk')
  await expect(second).rejects.toThrow('disk')
  await expect(writer([put(3)], true)).rejects.toThrow('disk')
  expect(writes).toHaveLength(1)
})
