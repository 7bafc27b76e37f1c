import json, os
from tokenizers import Tokenizer, models, trainers, pre_tokenizers, decoders, normalizers, processors
text = """In the beginning of autumn, towards evening, a young man came out of his small room and walked slowly towards the bridge.
He met the woman of the house on the stairs. The house was old, the stairs were steep, and the evening was warm and still.
Naïve café owners sold crème brûlée for 12 € and 345 ¥; the children laughed: "ha ha ha!" 你好 世界 🙂 🚀 ok?
The woman said that the young man owed her for his room, and he did not want to meet her on the stairs of the house.
""".splitlines() * 4
samples = ["The young man met the woman on the stairs.", "  two  spaces and\na line", "crème brûlée für 99 €", "unseen: Ξένος 𝔘𝔫𝔦 🙂🚀", "", "<s>the house</s>", "a", "你好, evening!"]
out = os.path.dirname(os.path.abspath(__file__))
def save(name, tok):
    d = f'{out}/{name}'; os.makedirs(d, exist_ok=True)
    tok.save(f'{d}/tokenizer.json', pretty=False)
    io = []
    for s in samples:
        ids = tok.encode(s).ids
        io.append({'text': s, 'ids': ids, 'decoded': tok.decode(ids)})
    json.dump({'vocabSize': tok.get_vocab_size(), 'cases': io}, open(f'{d}/expected.json','w'), ensure_ascii=False, indent=1)
    print(name, tok.get_vocab_size(), [len(x['ids']) for x in io], [x['decoded'] for x in io])
t = Tokenizer(models.BPE()); t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False); t.decoder = decoders.ByteLevel()
t.train_from_iterator(text, trainers.BpeTrainer(vocab_size=330, special_tokens=['<pad>','<s>','</s>'], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
save('byte-bpe', t)
t = Tokenizer(models.Unigram()); t.normalizer = normalizers.NFKC(); t.pre_tokenizer = pre_tokenizers.Metaspace(); t.decoder = decoders.Metaspace()
t.train_from_iterator(text, trainers.UnigramTrainer(vocab_size=120, special_tokens=['<unk>','<s>','</s>'], unk_token='<unk>', show_progress=False))
t.post_processor = processors.TemplateProcessing(single='$A </s>', special_tokens=[('</s>', 2)])
save('unigram', t)
