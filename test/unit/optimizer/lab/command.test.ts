import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { run } from '../../../../bench/policies.ts'

let folder = ''
const out: string[] = []
const errors: string[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dtss-lab-'))
  vi.spyOn(console, 'log').mockImplementation((text: unknown) => out.push(String(text)))
  vi.spyOn(console, 'error').mockImplementation((text: unknown) => errors.push(String(text)))
})

afterEach(() => {
  vi.restoreAllMocks()
  out.length = 0
  errors.length = 0
  rmSync(folder, { recursive: true })
})

const SMALL = ['--trace', 'synthetic', '--limit', '200', '--nodes', '2', '--seeds', '2']

test('--json prints one object last, with what it was measured on', async () => {
  expect(await run([...SMALL, '--policies', 'sjf-last2', '--json'])).toBe(0)
  const report = JSON.parse(out.at(-1)!) as { policies: { policy: string }[] }
  expect(report).toMatchObject({
    trace: 'synthetic',
    seeds: [0, 1],
    base: 'fifo-fit',
    estimator: { estimator: 'learned' }
  })
  // The base and the clairvoyant run come along: the gap needs them.
  expect(report.policies.map(({ policy }) => policy)).toEqual(['fifo-fit', 'sjf-last2', 'sjf-oracle'])
  expect(report).toHaveProperty('commit')
  expect(report).toHaveProperty('machine')
})

test('the network of learned-network is trained during the run, and decides differently', async () => {
  const small = ['--trace', 'synthetic', '--limit', '1500', '--nodes', '2', '--seeds', '1']
  expect(await run([...small, '--policies', 'learned,learned-network', '--json'])).toBe(0)
  const { policies } = JSON.parse(out.at(-1)!) as { policies: { policy: string; meanJctS: number }[] }
  const [without, withNetwork] = ['learned', 'learned-network'].map((name) =>
    policies.find(({ policy }) => policy === name)
  )
  expect(withNetwork!.meanJctS).toBeGreaterThan(0)
  expect(withNetwork!.meanJctS).not.toBe(without!.meanJctS)
})

test('--html writes one self-contained file and --svg the plots', async () => {
  const html = join(folder, 'report.html')
  expect(
    await run([...SMALL, '--policies', 'sjf-last2', '--html', html, '--svg', join(folder, 'plots')])
  ).toBe(0)
  const text = readFileSync(html, 'utf8')
  expect(text).not.toMatch(/<(script|link|img)[^>]*(src|href)=/)
  expect(text.match(/<svg/g)).toHaveLength(7)
  const plots = ['calibration', 'gantt-1', 'gantt-2', 'gantt-3', 'gap', 'jct', 'utilisation']
  expect(readdirSync(join(folder, 'plots'))).toEqual(plots.map((name) => `${name}.svg`))
  for (const name of plots)
    expect(readFileSync(join(folder, 'plots', `${name}.svg`), 'utf8')).not.toContain('NaN')
})

test('a compressed log on disk is read by its name', async () => {
  const path = join(folder, 'small.swf.gz')
  const lines = Array.from(
    { length: 50 },
    (_, i) => `${i + 1} ${i * 10} -1 ${30 + i} 1 -1 -1 1 60 -1 1 1 1 1 1 1 -1 -1`
  )
  writeFileSync(path, gzipSync(`; MaxProcs: 4\n${lines.join('\n')}\n`))
  expect(await run(['--trace', path, '--policies', 'easy', '--load', '0.8'])).toBe(0)
  expect(out.join('\n')).toMatch(/^small: load 0\.79/)
})

test.each([
  [[], /--trace: got nothing, expected a path or "synthetic"/],
  [['--trace', 'nowhere.swf'], /trace nowhere\.swf: got no such file/],
  [[...SMALL, '--load', '3'], /--load: got 3, expected a number in \(0, 2\]/],
  [[...SMALL, '--seeds', '0'], /--seeds: got 0, expected a whole number ≥ 1/],
  [[...SMALL, '--policies', 'best'], /policy: got "best", expected one of/],
  [[...SMALL, '--polices', 'easy'], /Unknown option '--polices'/],
  [['--trace', 'package.json'], /trace package\.json: got package\.json, expected a name that ends in/]
])('%j is misuse: exit code 2 and a message', async (argv, message) => {
  expect(await run(argv)).toBe(2)
  expect(errors.join('\n')).toMatch(message)
  expect(out).toEqual([])
})

test('a malformed line is misuse, and names file, line, field, got and expected', async () => {
  const path = join(folder, 'bad.swf')
  writeFileSync(path, '1 0 -1 5 1 -1 -1 1 6 -1 1 1 1 1 1 1\n2 1 -1 many 1 -1 -1 1 6 -1 1 1 1 1 1 1\n')
  expect(await run(['--trace', path])).toBe(2)
  expect(errors.join('\n')).toContain(`${path}:2: field run time: got "many", expected a number`)
})

test('a file that only claims to be compressed is reported', async () => {
  const path = join(folder, 'bad.swf.gz')
  writeFileSync(path, 'not compressed')
  expect(await run(['--trace', path])).toBe(2)
  expect(errors.join('\n')).toMatch(/incorrect header check, expected a readable file/)
})

test('--list names every policy, --help explains', async () => {
  expect(await run(['--list'])).toBe(0)
  expect(out.some((line) => line.startsWith('easy++'))).toBe(true)
  expect(await run(['--help'])).toBe(0)
  expect(out.at(-1)).toContain('--trace PATH')
})
