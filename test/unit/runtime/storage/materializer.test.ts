import { expect, test } from 'vitest'
import { AppError } from '../../../../base/errors.ts'
import { taskId } from '../../../../base/ids.ts'
import { createRng } from '../../../../base/prng.ts'
import { confStateOf } from '../../../../consensus/types.ts'
import type { Store } from '../../../../runtime/ports/store.ts'
import { Materializer } from '../../../../runtime/storage/materializer.ts'
import { openState } from '../../../../runtime/storage/open-state.ts'
import { stateChecksum } from '../../../../scheduler/records.ts'
import { createSimStores } from '../../../../sim/store.ts'
import { createVirtualTime } from '../../../helpers/virtual-time.ts'
import { Machine, spec } from '../../../helpers/scheduler.ts'
import { HandClock, settled } from '../stub-ports.ts'

const CONF_STATE = confStateOf([1])
const FLUSH_MS = 200
const MAX_PENDING = 1_000

/** A state machine whose entries a materializer writes behind; batches take virtual time. */
class World {
  readonly time = createVirtualTime()
  readonly stores = createSimStores({ rng: createRng(1), schedule: this.time.schedule, maxBatchMs: 5 })
  readonly machine = new Machine().withNodes(1)
  readonly clock = new HandClock()
  readonly failures: string[] = []
  flushes = 0
  store!: Store
  materializer!: Materializer
  #index = 10

  static async create(wrap: (store: Store) => Store = (store) => store): Promise<World> {
    const world = new World()
    world.store = wrap(await world.finish(world.stores.open('state')))
    const input = {
      clock: world.clock,
      flushMs: FLUSH_MS,
      maxPendingBytes: MAX_PENDING,
      onFailure: (error: AppError) => world.failures.push(error.code),
      onFlushed: () => {
        world.flushes += 1
      }
    }
    const position = { index: 10, term: 1, confState: CONF_STATE }
    world.materializer = new Materializer(input, world.store, world.machine.state, position)
    return world
  }

  async finish<T>(promise: Promise<T>): Promise<T> {
    let done = false
    const mark = (): void => {
      done = true
    }
    promise.then(mark, mark)
    await this.time.until(() => done)
    return await promise
  }

  /** One task submitted by the next entry. */
  entry(sizeBytes = 100, task = spec()): void {
    this.machine.submit([task])
    this.#index += 1
    this.materializer.applied({ index: this.#index, term: 1, confState: CONF_STATE }, sizeBytes)
  }
}

test('a flush makes everything applied durable, and the store opens as that state', async () => {
  const world = await World.create()
  world.entry()
  world.entry()
  await world.finish(world.materializer.flush())
  expect(world.materializer.durable.index).toBe(12)
  const { state, position } = await world.finish(openState(world.store))
  expect(position).toEqual({ index: 12, term: 1, confState: CONF_STATE })
  expect(stateChecksum(state)).toBe(world.materializer.checksum)
})

test('what is applied while a batch is on its way belongs to the next one (M1)', async () => {
  const world = await World.create()
  world.entry()
  const flush = world.materializer.flush()
  world.entry()
  await world.finish(flush)
  expect(world.materializer.durable.index).toBe(11)
  const { state, position } = await world.finish(openState(world.store))
  expect([position.index, state.tasks.size]).toEqual([11, 1])
})

test('a crash at any moment leaves the state at one index, with its own checksum (M1, M2)', async () => {
  for (let steps = 0; steps < 12; steps++) {
    const world = await World.create()
    world.entry()
    await world.finish(world.materializer.flush())
    world.entry()
    void world.materializer.flush()
    for (let step = 0; step < steps; step++) {
      await settled()
      world.time.step()
    }
    await settled()
    const { index } = world.materializer.durable
    world.stores.crash({ power: true })
    const store = await world.finish(world.stores.open('state'))
    const opened = await world.finish(openState(store))
    expect(opened.position.index).toBeGreaterThanOrEqual(index)
    expect(opened.state.tasks.size).toBe(opened.position.index - 10)
  }
})

test('polling flushes when the time has come, and not before', async () => {
  const world = await World.create()
  world.entry()
  await world.finish(world.materializer.flush())
  world.entry()
  world.materializer.poll()
  await world.time.advance(50)
  expect(world.materializer.durable.index).toBe(11)
  world.clock.advance(FLUSH_MS)
  world.materializer.poll()
  await world.time.advance(50)
  expect(world.materializer.durable.index).toBe(12)
})

test('more than the bound of pending bytes says so until the next batch has taken them (M3)', async () => {
  const world = await World.create()
  world.entry(MAX_PENDING)
  expect(world.materializer.full).toBe(false)
  world.entry(1)
  expect(world.materializer.full).toBe(true)
  await world.finish(world.materializer.flush())
  expect([world.materializer.full, world.flushes]).toEqual([false, 1])
})

test('a row is read wherever it is: undrained, on its way, or stored', async () => {
  const world = await World.create()
  const input = new TextEncoder().encode(JSON.stringify('x'.repeat(5_000)))
  world.entry(100, spec({ input }))
  const [id] = [...world.machine.state.tasks.keys()]
  const token = world.machine.place(id ?? 0, 1)
  world.machine.complete(id ?? 0, token)
  const read = async (): Promise<(number | string | undefined)[]> => {
    const row = world.materializer.history(taskId(id ?? 0))
    const blob = world.materializer.blob(taskId(id ?? 0), 'input')
    return [(await world.finish(row))?.status, (await world.finish(blob))?.length]
  }
  const expected = ['succeeded', input.length]
  expect(await read()).toEqual(expected)
  const flush = world.materializer.flush()
  await settled()
  const row = world.materializer.history(taskId(id ?? 0))
  expect((await row)?.status).toBe('succeeded')
  await world.finish(flush)
  expect(await read()).toEqual(expected)
  expect(await world.finish(world.materializer.history(taskId(999)))).toBeUndefined()
})

test('entries come without gaps', async () => {
  const world = await World.create()
  const position = { index: 12, term: 1, confState: CONF_STATE }
  expect(() => {
    world.materializer.applied(position, 1)
  }).toThrow('without gaps')
})

test('a write that failed is told, is not durable, and nothing is written after it', async () => {
  const failing = (store: Store): Store => ({
    ...store,
    batch: () => Promise.reject(new AppError('STORAGE_FAILED', 'no'))
  })
  const world = await World.create(failing)
  world.entry()
  await world.finish(world.materializer.flush())
  world.entry()
  await world.finish(world.materializer.flush())
  expect(world.failures).toEqual(['STORAGE_FAILED'])
  expect(world.materializer.durable.index).toBe(10)
})
