/** The line below the code of a `%%mlrun` cell: its version, and how the last run went. */
import { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import { Analysis, RunSummary, TERMINAL } from '../api/types';
import { duration } from '../format';
import { Boundary, StateMark, Trans, useTrans } from '../parts';
import { Verdict } from './verdict';

export interface IBadge {
  name: string;
  verdict: Verdict;
  latest: string;
  analysis: Analysis | null;
  run: RunSummary | null;
  offline: boolean;
}

export interface IBadgeActions {
  openRun(uid: string): void;
  openFunction(): void;
  showProblem(): void;
  edit(): void;
}

export class Badge extends ReactWidget {
  constructor(
    private _shown: IBadge,
    private readonly _actions: IBadgeActions,
    private readonly _trans: TranslationBundle
  ) {
    super();
    this.addClass('mlrun-CellBadge');
    // clicks and keys are the badge's, not the notebook's
    this.node.dataset.lmSuppressShortcuts = 'true';
  }

  get shown(): IBadge {
    return this._shown;
  }

  display(shown: IBadge): void {
    if (Object.keys(shown).some(key => shown[key as keyof IBadge] !== this._shown[key as keyof IBadge])) {
      this._shown = shown;
      this.update();
    }
  }

  render() {
    return (
      <Trans.Provider value={this._trans}>
        <Boundary name={this._trans.__('Version of the cell')}>
          <BadgeLine {...this._shown} actions={this._actions} />
        </Boundary>
      </Trans.Provider>
    );
  }
}

export function BadgeLine({
  name,
  verdict,
  latest,
  analysis,
  run,
  offline,
  actions
}: IBadge & { actions: IBadgeActions }) {
  const trans = useTrans();
  const hash = latest.slice(0, 8);
  const count = analysis?.problems.length ?? 0;
  const texts: Record<Verdict, [string, string]> = {
    waiting: offline
      ? [trans.__('server not reached'), trans.__('The version is looked up when the server answers again.')]
      : [trans.__('looking…'), trans.__('The cell is being read.')],
    problems: [
      trans._n('%1 problem', '%1 problems', count, count),
      (analysis?.problems ?? []).map(each => `${each.name ? each.name + ': ' : ''}${each.message}`).join('\n')
    ],
    new: [trans.__('not defined yet'), trans.__('Run the cell to define the function.')],
    same: [trans.__('up to date'), trans.__('The cell is the latest version, @%1.', hash)],
    changed: [
      trans.__('changed'),
      trans.__('The cell, or what it takes along, is not the latest version, @%1. Run it to define a new one.', hash)
    ],
    kernel: [
      trans.__('known when it runs'),
      trans.__('The version holds values that only the kernel has. Run the cell to compare it with @%1.', hash)
    ]
  };
  const [text, why] = texts[verdict];
  const label = name || trans.__('no name');
  return (
    <div className="mlrun-CellBadge-line" role="group" aria-label={trans.__('MLRun function %1', label)}>
      <button
        className="mlrun-CellBadge-button mlrun-CellBadge-name"
        onClick={latest ? actions.openFunction : actions.edit}
        title={latest ? trans.__('Open the function %1', label) : trans.__('Edit the function’s line')}
      >
        {label}
        {hash && <code>@{hash}</code>}
      </button>
      {verdict === 'problems' ? (
        <button
          className="mlrun-CellBadge-button mlrun-CellVerdict"
          data-verdict={verdict}
          onClick={actions.showProblem}
          title={why}
        >
          {text}
        </button>
      ) : (
        <span className="mlrun-CellVerdict" data-verdict={verdict} title={why}>
          {text}
        </span>
      )}
      {run && (
        <button
          className="mlrun-CellBadge-button mlrun-CellBadge-run"
          onClick={() => actions.openRun(run.uid)}
          title={[trans.__('Open the last run'), run.cause].filter(Boolean).join('\n')}
        >
          <StateMark state={run.state} />
          {TERMINAL.has(run.state) ? (
            <span className="mlrun-Dim">{duration(run.duration)}</span>
          ) : (
            run.progress.of > 1 && <span className="mlrun-Dim">{`${run.progress.cell}/${run.progress.of}`}</span>
          )}
        </button>
      )}
    </div>
  );
}
