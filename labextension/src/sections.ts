/** The registry behind {@link ISections}. */
import { ISignal, Signal } from '@lumino/signaling';
import { ISection, ISections } from './tokens';

export class Sections implements ISections {
  private _all: ISection[] = [];
  private _changed = new Signal<this, void>(this);

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  list(): readonly ISection[] {
    return this._all;
  }

  add(section: ISection): void {
    if (this._all.some(each => each.id === section.id)) {
      throw new Error(`The panel has a section "${section.id}" already; give yours another id.`);
    }
    this._all = [...this._all, section].sort((a, b) => a.rank - b.rank);
    this._changed.emit();
  }
}
