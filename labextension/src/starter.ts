/** The notebook to begin with: it runs as it is, and needs nothing that is not installed with us. */
import type { INotebookContent } from '@jupyterlab/nbformat';
import { TranslationBundle } from '@jupyterlab/translation';

export function starter(
  project: string,
  kernel: { name: string; title: string },
  trans: TranslationBundle
): INotebookContent {
  const markdown = (source: string, id: string) => ({ cell_type: 'markdown', id, metadata: {}, source });
  const code = (source: string, id: string) => ({
    cell_type: 'code',
    id,
    metadata: {},
    source,
    execution_count: null,
    outputs: []
  });
  return {
    metadata: {
      kernelspec: { name: kernel.name, display_name: kernel.title, language: 'python' },
      language_info: { name: 'python' }
    },
    nbformat: 4,
    nbformat_minor: 5,
    cells: [
      markdown(
        `# ${trans.__('An MLRun notebook')}\n\n${trans.__(
          'A cell that begins with %1 becomes a function. It runs in a kernel of its own; what it returns is kept.',
          '`%%mlrun`'
        )}`,
        'intro'
      ),
      code(`%load_ext mlrun_jupyter\n%mlrun project ${project}`, 'project'),
      code(
        [
          '%%mlrun fit-line',
          '--param points:int=200  # how many points are drawn',
          '--param noise:float=0.5  # their standard deviation around the line',
          '--returns slope,error',
          'import random',
          'import statistics',
          '',
          'random.seed(7)',
          'x = [random.uniform(0, 10) for _ in range(points)]',
          'y = [3 * each + random.gauss(0, noise) for each in x]',
          'slope = statistics.linear_regression(x, y).slope',
          'error = abs(slope - 3)'
        ].join('\n'),
        'fit'
      ),
      markdown(trans.__('The same function with other parameters:'), 'again'),
      code('%mlrun run fit-line noise=2.0', 'run'),
      code('%mlrun runs', 'runs')
    ]
  };
}
